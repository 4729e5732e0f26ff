// The self-tests of a Vulkan device: one kernel for each macro. vulkan-probe.mjs compiles them into vulkan-probe-code.h.
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_16bit_storage : require
#ifdef SMALL_INTEGERS
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int16 : require
#endif
#ifdef FLOAT16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif
#ifdef FLOAT64
#extension GL_EXT_shader_explicit_arithmetic_types_float64 : require
#endif
#ifdef ATOMIC
#extension GL_EXT_shader_atomic_float : require
#endif
#ifdef SUBGROUPS
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif

layout(local_size_x = 64) in;

layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Inputs {
  int64_t wide[64];
  float real[64];
  int16_t half_[64];
  int8_t byte_[64];
};
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Outputs {
  int64_t wide[64];
  float real[64];
};
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Arguments {
  Inputs inputs;
  Outputs outputs;
  int64_t low;
  int64_t high;
};
layout(push_constant) uniform Push {
  Arguments arguments;
};

shared float turned[64];

void main() {
  Inputs x = arguments.inputs;
  Outputs y = arguments.outputs;
  uint i = gl_LocalInvocationIndex;
  float f = x.real[i];
  int64_t wide = x.wide[i];
#ifdef BASE
  turned[i] = f * 1.5 + 0.25;
  barrier();
  f = turned[63 - i];
  wide = (wide * 3 + (wide >> 5)) ^ int64_t(int(x.half_[i])) ^ int64_t(int(x.byte_[i]));
  wide += arguments.high - arguments.low;
#endif
#ifdef SMALL_INTEGERS
  int8_t b = x.byte_[i];
  int16_t h = x.half_[i];
  wide = int64_t(b * int8_t(3)) + (int64_t(h * int16_t(5)) << 32);
#endif
#ifdef FLOAT16
  float16_t h = float16_t(f);
  f = float(h * h + float16_t(0.5));
#endif
#ifdef FLOAT64
  double d = double(f) * double(f) + double(wide);
  uvec2 bits = unpackDouble2x32(d);
  wide = int64_t(uint64_t(bits.x) | (uint64_t(bits.y) << 32));
#endif
#ifdef FUSED
  precise float product = fma(f, f, -(f * f));
  f = product;
#endif
#ifdef DOT8
  // GLSL has no word for it: vulkan-probe.mjs makes this product one of packed vectors.
  wide = int64_t(int(wide) * int(wide >> 32));
#endif
#ifdef ATOMIC
  atomicAdd(y.real[0], f);
  return;
#endif
#ifdef SUBGROUPS
  uint lane = gl_SubgroupInvocationID;
  uint sum = subgroupAdd(lane);
  uint neighbour = subgroupShuffleXor(lane, 1);
  wide = int64_t(gl_SubgroupSize) + (int64_t(2 * sum == gl_SubgroupSize * (gl_SubgroupSize - 1) && neighbour == (lane ^ 1)) << 32);
#endif
  y.wide[i] = wide;
  y.real[i] = f;
}
