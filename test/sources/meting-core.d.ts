/** The package has no types of its own; what the tests use. */
declare module "@meting/core" {
  export default class Meting {
    constructor(platform: string);
    /** Whether replies are read, or given as they come. */
    format(read: boolean): this;
    url(id: string, bitrate?: number): Promise<string>;
    lyric(id: string): Promise<string>;
  }
}
