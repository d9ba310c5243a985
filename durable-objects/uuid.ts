/** UUIDv7 (RFC 9562 §5.7), lower case: the ids of events and requests. Source: contracts/spec/encoding.md. */
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Unix ms that an id was made at, or says so. */
export const idMs = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);

export function isUuidV7(text: string): boolean {
  return UUID_V7.test(text);
}
