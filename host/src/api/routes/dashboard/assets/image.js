// Images as the numbers of a tensor.

/**
 * Returns how a tensor of this shape holds an image, or null: `width` and `height`, which are null if
 * any size will do, `channels`, and whether these come `first`.
 */
export function imageLayout({ datatype, shape }) {
  if (!/^(UINT8|FP)/.test(datatype)) return null;
  const sizes = shape.length > 1 && shape[0] < 2 ? shape.slice(1) : shape;
  const size = (number) => (number > 0 ? number : null);
  const isColour = (number) => number === 1 || number === 3;

  if (sizes.length === 3 && isColour(sizes[2])) return layout(size(sizes[1]), size(sizes[0]), sizes[2], false);
  if (sizes.length === 3 && isColour(sizes[0])) return layout(size(sizes[2]), size(sizes[1]), sizes[0], true);
  if (sizes.length === 2 && sizes[0] > 7 && sizes[1] > 7) return layout(sizes[1], sizes[0], 1, false);

  // The pixels of a square in one row.
  const side = Math.sqrt(sizes.at(-1));
  return sizes.length === 1 && side >= 8 && Number.isInteger(side) ? layout(side, side, 1, false) : null;
}

const layout = (width, height, channels, first) => ({ width, height, channels, first });

/**
 * Reads a file as an image and scales it to the layout. Returns `width`, `height` and `data`, with
 * values from 0 to `most`; with `inverted`, dark is `most`.
 */
export async function readPixels(file, { width, height, channels, first }, most, inverted) {
  const bitmap = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(width ?? bitmap.width, height ?? bitmap.height);
  const context = canvas.getContext("2d");
  // What is transparent is white, as on paper.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);

  const { data: rgba } = context.getImageData(0, 0, canvas.width, canvas.height);
  const value = (byte) => (inverted ? 255 - byte : byte) * most / 255;
  const pixels = canvas.width * canvas.height;
  const data = new Array(pixels * channels);

  for (let pixel = 0; pixel < pixels; pixel += 1) {
    const [red, green, blue] = rgba.subarray(pixel * 4, pixel * 4 + 3);
    const colours = channels === 1 ? [0.299 * red + 0.587 * green + 0.114 * blue] : [red, green, blue];
    colours.forEach((colour, channel) => {
      data[first ? channel * pixels + pixel : pixel * channels + channel] = value(colour);
    });
  }

  return { width: canvas.width, height: canvas.height, data, canvas };
}
