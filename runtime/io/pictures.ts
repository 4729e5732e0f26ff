// Pictures as tensors and back: 8-bit pixels as they are, or as f32 from 0 to 1. Alpha never enters a program; it is kept
// aside and put back on a result of the same size.
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import type { HostPicture } from "../procedure.ts";
import { type HostTensor, hostTensor, shapeText } from "../tensor.ts";

/** [H, W, 3]. */
export function pictureTensor(picture: HostPicture, dtype: "u8" | "f32"): HostTensor {
  const shape = [picture.height, picture.width, 3];
  if (dtype === "u8") return hostTensor("u8", shape, picture.rgb);
  const pixels = new Float32Array(picture.rgb.length);
  for (let i = 0; i < pixels.length; i++) pixels[i] = picture.rgb[i]! / 255;
  return hostTensor("f32", shape, pixels);
}

/** Whether a tensor can be shown: [H, W, 3] or grey [H, W, 1] or [H, W], in 8 bits or f32. */
export const isPictureShape = (dtype: string, shape: readonly unknown[]): boolean =>
  (dtype === "u8" || dtype === "f32") && (shape.length === 2 || (shape.length === 3 && (shape[2] === 3 || shape[2] === 1)));

/** f32 is cut to 0 … 1 and rounded. */
export function tensorPicture(path: string, tensor: HostTensor, alpha: Uint8Array | null): HostPicture {
  if (!isPictureShape(tensor.dtype, tensor.shape)) {
    throw new SluiceError({
      code: "IMAGE002", message: `${path}: the tensor is no picture`, found: `${tensor.dtype} ${shapeText(tensor.shape)}`, expected: "u8 or f32, [H, W, 3], [H, W, 1] or [H, W]",
    });
  }
  const [height, width, channels] = [tensor.shape[0]!, tensor.shape[1]!, tensor.shape[2] ?? 1];
  const { data } = tensor;
  const narrow = data instanceof Uint8Array ? data : Uint8Array.from(data, x => Math.round(Math.min(Math.max(x, 0), 1) * 255));
  const rgb = channels === 3 ? narrow : new Uint8Array(width * height * 3).map((_, i) => narrow[Math.floor(i / 3)]!);
  return { width, height, rgb, alpha: alpha?.length === width * height ? alpha : null };
}
