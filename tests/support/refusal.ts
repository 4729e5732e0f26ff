/** What a call says when it is refused; "nothing was refused" where it is not. */
export const refusal = (f: () => unknown): string => {
  try {
    f();
    return "nothing was refused";
  } catch (error) {
    return (error as Error).message;
  }
};
