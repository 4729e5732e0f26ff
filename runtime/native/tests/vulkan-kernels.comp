// Kernels of the Vulkan tests, one for each macro, as device/vulkan-module.h wants them; SAMPLE_… are those of sample-kernels.c.
// The build compiles them.
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_shader_8bit_storage : require

// ONE_TASK: the workgroup has one task, of which its first thread does the work.
layout(local_size_x = 64) in;

layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Words { uint64_t at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Integers { int at[]; };
layout(buffer_reference, std430, buffer_reference_align = 1) buffer Bytes { uint8_t at[]; };
layout(push_constant) uniform Push { Words words; };

#ifdef TWICE
const int OPERANDS = 2, DIMS = 0;
#endif
#ifdef INCREMENT
const int OPERANDS = 1, DIMS = 0;
#endif
#ifdef ENOUGH
const int OPERANDS = 2, DIMS = 1;
#endif
#ifdef NOTE
const int OPERANDS = 2, DIMS = 0;
#endif
#ifdef MARK
#define ONE_TASK
const int OPERANDS = 1, DIMS = 1;
#endif
#ifdef SPILL
const int OPERANDS = 2, DIMS = 1;
#endif
#ifdef SHARED
const int OPERANDS = 1, DIMS = 0;
shared struct { vec4 rows[64]; int64_t sums[3]; } own;
#endif
#if defined(SAMPLE_DOUBLE) || defined(SAMPLE_SUM) || defined(SAMPLE_ROOT)
const int OPERANDS = 2, DIMS = 1;
#endif
#ifdef SAMPLE_ENOUGH
const int OPERANDS = 2, DIMS = 0;
#endif
#ifdef SAMPLE_TEN
const int OPERANDS = 1, DIMS = 0;
#endif

void main() {
  int64_t low = int64_t(words.at[OPERANDS + DIMS]);
  int64_t high = int64_t(words.at[OPERANDS + DIMS + 1]);
  int64_t workgroup = int64_t(gl_WorkGroupID.y) * 65535 + gl_WorkGroupID.x;
#ifdef ONE_TASK
  int64_t task = low + workgroup;
  if (gl_LocalInvocationIndex != 0) return;
#else
  int64_t task = low + workgroup * 64 + gl_LocalInvocationIndex;
#endif
  if (task >= high) return;
  int i = int(task);
#ifdef TWICE
  Floats(words.at[1]).at[i] = Floats(words.at[0]).at[i] * 2;
#endif
#ifdef INCREMENT
  Floats(words.at[0]).at[i] += 1;
#endif
#ifdef ENOUGH
  // The end of a loop: its index has come to the dim.
  Bytes(words.at[1]).at[0] = uint8_t(Integers(words.at[0]).at[0] >= int(words.at[2]) ? 1 : 0);
#endif
#ifdef NOTE
  // The rounds of a loop, in the order in which they come.
  Integers list = Integers(words.at[1]);
  int round = list.at[0];
  list.at[0] = round + 1;
  list.at[round + 1] = Integers(words.at[0]).at[0];
#endif
#ifdef MARK
  Integers(words.at[0]).at[i] = i + int(words.at[1]);
#endif
#ifdef SPILL
  // Numbers on their way through the task's scratch memory.
  int count = int(words.at[2]);
  Floats own = Floats(words.at[5] + uint64_t(task - low) * words.at[6]);
  for (int k = 0; k < count; k++) own.at[k] = Floats(words.at[0]).at[i] + k;
  float sum = 0;
  for (int k = 0; k < count; k++) sum += own.at[k];
  Floats(words.at[1]).at[i] = sum;
#endif
#ifdef SHARED
  own.rows[gl_LocalInvocationIndex] = vec4(i);
  own.sums[0] = task;
  Floats(words.at[0]).at[i] = own.rows[gl_LocalInvocationIndex].x + float(own.sums[0]);
#endif
#ifdef SAMPLE_DOUBLE
  Floats own = Floats(words.at[5] + uint64_t(task - low) * words.at[6]);
  own.at[0] = Floats(words.at[0]).at[i] * 2;
  Floats(words.at[1]).at[i] = own.at[0];
#endif
#ifdef SAMPLE_SUM
  float sum = 0;
  for (int k = int(words.at[2]); k-- > 0;) sum += Floats(words.at[0]).at[k];
  Floats(words.at[1]).at[0] = sum;
#endif
#ifdef SAMPLE_ROOT
  float x = Floats(words.at[0]).at[i];
  Floats(words.at[1]).at[i] = x < 0 ? uintBitsToFloat(0x7fc00000) : sqrt(x);
#endif
#ifdef SAMPLE_ENOUGH
  Bytes(words.at[1]).at[0] = uint8_t(Integers(words.at[0]).at[0] >= 3 ? 1 : 0);
#endif
#ifdef SAMPLE_TEN
  Floats(words.at[0]).at[i] = 10;
#endif
}
