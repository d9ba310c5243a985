/** What scripts/page.ts puts there: base64 of the module, compressed by gzip. */
declare module "talos:wasm" {
  const packed: string;
  export default packed;
}
