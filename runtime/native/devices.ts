// The GPUs of this machine as the native runtime finds them: opened, and tested by small kernels.
import { createRequire } from "node:module";
import { type Diagnostic, SluiceError } from "../../compiler/base/diagnostics.ts";
import { requireBuilt } from "./built.ts";

/** What kernels may use; runtime/native/device/vulkan.h says what each is. */
export interface VulkanFeatures {
  readonly int8: boolean;
  readonly int16: boolean;
  readonly float16: boolean;
  readonly float64: boolean;
  readonly dot8: boolean;
  readonly atomicAddF32: boolean;
  readonly subgroup32: boolean;
  readonly memoryModel: boolean;
  readonly fusedMultiplyAdd: boolean;
  readonly denormals: boolean;
  readonly specialFloats: boolean;
  readonly roundToNearest: boolean;
  readonly cooperativeMatrixKhr: boolean;
  readonly cooperativeMatrixNv: boolean;
  readonly subgroupSize: number;
  /** VkSubgroupFeatureFlags. */
  readonly subgroupOperations: number;
  /** Of a workgroup, at most. */
  readonly threads: number;
  readonly sharedBytes: number;
}

export interface VulkanDevice {
  readonly name: string;
  readonly kind: "discrete" | "integrated" | "virtual" | "cpu" | "other";
  readonly driver: string;
  readonly memoryBytes: number;
  /** With what the self-tests left of its features. */
  readonly description: string;
  /** The self-tests that it passed. */
  readonly passed: readonly string[];
  /** Why it cannot be used; empty if it can. */
  readonly problem: string;
  readonly features: VulkanFeatures;
}

export interface CudaDevice {
  readonly name: string;
  /** As nvcc names it: `sm_90`. */
  readonly architecture: string;
  readonly memoryBytes: number;
  /** The newest version of CUDA that the driver runs: `CUDA 12.4`. */
  readonly driver: string;
  /** Once it was opened and tested. */
  readonly description: string;
  /** Why it cannot be used; empty if it can. */
  readonly problem: string;
}

type Listed<D> = { readonly devices: readonly D[] } | { readonly error: { readonly diagnostic: Diagnostic } | { readonly message: string } };
interface Addon {
  vulkanDevices(): Listed<VulkanDevice>;
  cudaDevices(isTested: boolean): Listed<CudaDevice>;
}

const addon = (): Addon => createRequire(import.meta.url)(requireBuilt("addon")) as Addon;
function devicesOf<D>(result: Listed<D>): readonly D[] {
  if ("devices" in result) return result.devices;
  throw "diagnostic" in result.error ? new SluiceError(result.error.diagnostic) : new Error(result.error.message);
}

/** Throws CPU007 where the addon is not built, and GPU001 where Vulkan is not installed or not in the build. */
export const vulkanDevices = (): readonly VulkanDevice[] => devicesOf(addon().vulkanDevices());

/** Opened and tested only if asked. Throws CPU007 where the addon is not built, GPU001 where there is no NVIDIA driver, and GPU008 where it is too old. */
export const cudaDevices = ({ isTested }: { readonly isTested: boolean }): readonly CudaDevice[] => devicesOf(addon().cudaDevices(isTested));
