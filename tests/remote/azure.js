// A server of Azure Blob Storage in memory that ends with whoever started it. Says where it listens, and what a test
// must add to its URLs to be allowed everything.

const crypto = require("node:crypto");

const [account, key] = process.env.AZURITE_ACCOUNTS.split(":");

process.argv.push("--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry", "--silent", "--skipApiVersionCheck");
const { BlobServerFactory } = require("azurite/dist/src/blob/BlobServerFactory");

function accountSignature() {
  const granted = { sp: "rwdlac", ss: "b", srt: "sco", st: "", se: "2099-01-01T00:00:00Z", sip: "", spr: "", sv: "2018-11-09" };
  const text = [account, ...Object.values(granted), ""].join("\n");
  const sig = crypto.createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64");
  return new URLSearchParams(Object.entries({ ...granted, sig }).filter(([, value]) => value));
}

async function serve() {
  const server = await new BlobServerFactory().createServer();
  await server.start();
  console.log(new URL(server.getHttpServerAddress()).host);
  console.log(accountSignature().toString());
  process.stdin.on("end", () => process.exit()).resume();
}

serve();
