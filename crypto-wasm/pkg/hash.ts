/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "OmzpbtUwLAekSI_6ob_eFgT81zlcBnzZ9g69BsR-YOA";
