import type { Progress } from "../audio/jitter";
import { samplesToMs } from "../audio/pcm";

/** What tells the server how much of its answers the person has heard. */
export type Correction =
  | { type: "conversation.item.truncate"; item_id: string; content_index: 0; audio_end_ms: number }
  | { type: "conversation.item.delete"; item_id: string };

/**
 * The corrections for items whose playback was cut.
 *
 * An item that sounded whole needs none, one that never sounded is deleted, any other is cut to what was heard.
 * `latency_ms` is the sound that the device had taken but not yet played.
 */
export function corrections(cut: readonly Progress[], latency_ms: number): Correction[] {
  let inDevice_ms = latency_ms;
  return cut
    .toReversed()
    .flatMap((progress): Correction[] => {
      const heard_ms = Math.max(0, samplesToMs(progress.played) - inDevice_ms);
      // Only the item that was sounding last has sound in the device; the ones behind it never reached it.
      if (progress.played > 0) inDevice_ms = 0;
      const item_id = progress.item;
      if (progress.isComplete && progress.played >= progress.received) return [];
      if (heard_ms < 1) return [{ type: "conversation.item.delete", item_id }];
      return [{ type: "conversation.item.truncate", item_id, content_index: 0, audio_end_ms: Math.floor(heard_ms) }];
    })
    .reverse();
}
