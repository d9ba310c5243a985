/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "YuZge6ND2ehSIC4E-Y44SbyWCjZ_yDgiL6EVeA4bec8";
