// Arrays that come from the kernel as bytes.

// A typed array of them; they need not be aligned.
export function toArray(Kind, bytes) {
  if (!bytes) return new Kind(0);
  const view = bytes.buffer ? bytes : new DataView(bytes);
  return new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}
