/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "_BCkFNG0GFn5ssrP2zUhu_nu3OWC0HKPUKdxx9smJuA";
