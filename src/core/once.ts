/** A value made by the first who asks for it, so that the start does not pay for what nobody may need. */
export function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
