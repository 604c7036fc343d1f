// The state of the server, as it changes.

import { getJson, parse, send } from "./client.js";
import { events } from "./events.js";

const PATH = "v2/dashboard";

/** Milliseconds between two questions if the server has no stream left for this key. */
const POLL = 5000;

/** Milliseconds after which a state without a change means that nothing uses the CPU. */
const QUIET = 2500;

/** Statuses that another try with the same key does not change. */
const FINAL = [400, 401, 403, 404];

/**
 * Follows the state until stopped. `onState` gets each state, with the CPU use between two of them;
 * `onStatus` gets `live`, `polling`, `waiting` or `hidden`; `onRefusal` gets what another try does not
 * change. Returns the function that stops it.
 */
export function follow(onState, onStatus, onRefusal) {
  let running = null;
  const deliver = withCpuUse(onState);

  function start() {
    running = new AbortController();
    keepFollowing(running.signal, deliver, onStatus, onRefusal);
  }

  // A hidden page costs the server nothing.
  function onVisibility() {
    running?.abort();
    if (document.hidden) onStatus("hidden");
    else start();
  }

  document.addEventListener("visibilitychange", onVisibility);
  start();

  return () => {
    document.removeEventListener("visibilitychange", onVisibility);
    running?.abort();
    deliver.stop();
  };
}

async function keepFollowing(signal, onState, onStatus, onRefusal) {
  let pause = 500;

  while (!signal.aborted) {
    try {
      const response = await send(PATH, { signal, headers: { Accept: "text/event-stream" } });
      onStatus("live");
      pause = 500;
      for await (const data of events(response)) onState(parse(data));
    } catch (error) {
      if (signal.aborted) return;
      if (FINAL.includes(error.status)) return onRefusal(error);

      if (error.status === 429) {
        await poll(signal, onState, onStatus);
      } else {
        onStatus("waiting");
        pause = Math.min(pause * 2, 15000);
      }
    }
    await sleep(pause, signal);
  }
}

async function poll(signal, onState, onStatus) {
  onStatus("polling");
  try {
    onState(await getJson(PATH, { signal }));
  } catch {
    onStatus("waiting");
  }
  await sleep(POLL, signal);
}

/** Adds to each state the CPU use since the one before, in cores: of each model, and of the tenant. */
function withCpuUse(onState) {
  let before = null;
  let quiet = 0;

  function deliver(state) {
    const now = performance.now();
    const used = cpuTimes(state);

    for (const [name, millis] of used) {
      const earlier = before?.used.get(name);
      state.cpu ??= new Map();
      state.cpu.set(name, earlier === undefined ? null : Math.max(0, millis - earlier) / (now - before.at));
    }

    before = { at: now, used };
    onState(state);
    clearTimeout(quiet);
    quiet = setTimeout(() => deliver(state), QUIET);
  }

  deliver.stop = () => clearTimeout(quiet);
  return deliver;
}

/** The CPU time of the tenant, under an empty name, and of each model, in milliseconds. */
function cpuTimes({ usage, models }) {
  const times = new Map([["", usage.cpu_seconds * 1000]]);
  for (const { name, versions } of models) {
    const serving = versions.filter((version) => version.serving);
    times.set(name, serving.reduce((sum, version) => sum + version.serving.cpu_ms, 0));
  }
  return times;
}

function sleep(millis, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, millis);
    signal.addEventListener("abort", resolve, { once: true });
  });
}
