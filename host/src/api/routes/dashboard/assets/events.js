// Server-sent events from the body of a response. EventSource cannot send a key.

/** Yields the data of each event until the response ends. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";

  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;

      const parts = (text + value).split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const data = part.split("\n").filter((line) => line.startsWith("data:"));
        // A comment, which only keeps the connection alive, has none.
        if (data.length > 0) yield data.map((line) => line.slice(5).trimStart()).join("\n");
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
