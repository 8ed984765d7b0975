// A zip without compression (PKWARE's APPNOTE 6.3, with zip64), made of references to files: pictures are compressed
// already, and the browser reads each file twice at most, for its checksum here and when it is sent.

const table = new Uint32Array(256).map((_, n) => {
  for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

export function crc32(bytes, crc = 0) {
  crc = ~crc;
  for (let i = 0; i < bytes.length; i += 1) crc = table[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

async function checksum(file) {
  let crc = 0;
  const reader = file.stream().getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) crc = crc32(part.value, crc);
  return crc;
}

/** Numbers, little endian: [bytes, value]…; BigInt for eight bytes. */
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else if (size === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

const MOST_4 = 0xffffffff;
const MOST_2 = 0xffff;
const UTF8 = 0x0800;
const DAY = 0x21; // 1980-01-01: the same folder gives the same zip

/** files: [{path, file}…]; progress(done, of) after each. Gives a Blob. */
export async function zipped(files, progress = () => {}, signal = undefined) {
  const parts = [];
  const directory = [];
  let offset = 0;
  let directorySize = 0;
  for (const [number, { path, file }] of files.entries()) {
    signal?.throwIfAborted();
    if (file.size >= MOST_4) throw new RangeError(path);
    const name = new TextEncoder().encode(path.normalize("NFC"));
    const same = [[2, 0], [2, 0], [2, DAY], [4, await checksum(file)], [4, file.size], [4, file.size], [2, name.length]];
    const local = record([4, 0x04034b50], [2, 20], [2, UTF8], ...same, [2, 0]);
    const far = offset >= MOST_4;
    const extra = far ? record([2, 1], [2, 8], [8, offset]) : new Uint8Array();
    const entry = record(
      [4, 0x02014b50], [2, far ? 45 : 20], [2, far ? 45 : 20], [2, UTF8], ...same,
      [2, extra.length], [2, 0], [2, 0], [2, 0], [4, 0], [4, far ? MOST_4 : offset],
    );
    parts.push(local, name, file);
    directory.push(entry, name, extra);
    offset += local.length + name.length + file.size;
    directorySize += entry.length + name.length + extra.length;
    progress(number + 1, files.length);
  }
  return new Blob([...parts, ...directory, ...ending(files.length, directorySize, offset)], { type: "application/zip" });
}

function ending(count, size, offset) {
  const end = record(
    [4, 0x06054b50], [2, 0], [2, 0], [2, Math.min(count, MOST_2)], [2, Math.min(count, MOST_2)],
    [4, Math.min(size, MOST_4)], [4, Math.min(offset, MOST_4)], [2, 0],
  );
  if (count < MOST_2 && size < MOST_4 && offset < MOST_4) return [end];
  const end64 = record(
    [4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, count], [8, count], [8, size], [8, offset],
  );
  const locator = record([4, 0x07064b50], [4, 0], [8, offset + size], [4, 1]);
  return [end64, locator, end];
}
