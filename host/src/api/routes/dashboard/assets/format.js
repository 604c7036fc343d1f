// Numbers for people.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** A number of things, such as 12,345. */
export const count = (number) => WHOLE.format(number);

/** A number of bytes, such as 1.5 MiB. */
export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${SHORT.format(number)} ${units[unit]}`;
}

/** A latency in microseconds, such as 1.25 ms; a dash if there is none. */
export function latency(micros) {
  if (micros === null || micros === undefined) return "–";
  if (micros < 1000) return `${SHORT.format(micros)} µs`;
  if (micros < 1e6) return `${SHORT.format(micros / 1000)} ms`;
  return `${SHORT.format(micros / 1e6)} s`;
}

/** CPU time per time, in cores. */
export function cores(number) {
  if (number === null || number === undefined) return "–";
  return `${SHORT.format(Math.round(number * 1000) / 1000)} ${number === 1 ? "core" : "cores"}`;
}

/** A time in milliseconds since 1970, by the clock of the visitor. */
export const clock = (millis) => new Date(millis).toLocaleTimeString();

/** The amount of a resource and its limit. */
export function ofLimit({ used, limit }, format = count) {
  return limit === null ? format(used) : `${format(used)} of ${format(limit)}`;
}
