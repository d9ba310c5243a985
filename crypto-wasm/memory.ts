/** The core's memory, for calls that write and read there instead of copying through the bindings. */
import { call, memory, wasm } from "./core.ts";

export interface Room {
  /** where a frame may be written */
  start: number;
  bytes: Uint8Array;
  view: DataView;
}

const room: Room = { start: 0, bytes: new Uint8Array(memory.buffer), view: new DataView(memory.buffer) };
let length = 0;

/** Growing the core's memory detaches every view of it, so this is asked after every call. */
export function look(): Room {
  if (room.bytes.buffer !== memory.buffer) {
    room.bytes = new Uint8Array(memory.buffer);
    room.view = new DataView(memory.buffer);
  }
  return room;
}

/** Room for a frame of at most `bound` bytes. What is written stands until the next call of the core. */
export function roomFor(bound: number): Room {
  if (bound > length) {
    room.start = call(wasm.frame_room, bound);
    length = bound;
  }
  return look();
}
