/**
 * Text of others for a terminal or a page: control characters are shown, not obeyed. A tool's answer must not move the
 * cursor or rewrite what stands above it.
 */
export function printable(text: string, keep = ""): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (c) =>
    keep.includes(c) ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
