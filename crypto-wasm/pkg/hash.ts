/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "m-JAEj9qSVH3VK0KA85N8o-LIMWXGk-zQLKmTQ6UA4E";
