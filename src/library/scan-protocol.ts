import type { FileState, TrackData } from "./track.ts";

/** What the scan asks of its worker, and what comes back. One scan per worker. */
export interface ScanOrder {
  type: "scan";
  /** Absolute folders. */
  roots: string[];
  extensions: string[];
  followOutside: boolean;
  maxFiles: number;
  /** Bytes of a picture beside the file that is still taken for a cover. */
  coverMaxBytes: number;
  /** Files offered at once; 1 finds the file that a reader dies of. */
  batch: number;
  /**
   * File of the index. The worker writes its log back into it now and then, because the `fsync` of that would hold
   * the main thread up; empty = in memory.
   */
  database: string;
}

/** Which of an offered batch shall be read. */
export interface ReadOrder {
  type: "read";
  batch: number;
  wanted: number[];
}

export type ToWorker = ScanOrder | ReadOrder;

export type FromWorker =
  | { type: "offer"; batch: number; files: FileState[] }
  /** A part of what was wanted; `last` closes the batch. */
  | {
      type: "read";
      batch: number;
      tracks: { at: number; data: TrackData }[];
      bad: { at: number; reason: string }[];
      last: boolean;
    }
  | { type: "problem"; root: number; path: string; reason: string }
  | { type: "done"; files: number; truncated: boolean; unreadableRoots: number[] }
  | { type: "failed"; reason: string };
