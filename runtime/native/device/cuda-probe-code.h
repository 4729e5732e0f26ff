// The kernel of cuda-probe.cc, of 32 threads: a row of 32 words for each thing that is tested.
#pragma once

namespace sluice {

constexpr const char* CUDA_PROBE = R"(.version 6.4
.target sm_75
.address_size 64

.visible .entry probe(.param .u64 to) {
  .reg .b16 %h;
  .reg .b32 %r<12>;
  .reg .f32 %f<6>;
  .reg .f64 %d<4>;
  .reg .b64 %a<4>;
  .shared .align 4 .b8 row[128];

  ld.param.u64 %a0, [to];
  cvta.to.global.u64 %a0, %a0;
  mov.u32 %r0, %tid.x;
  mul.wide.u32 %a1, %r0, 4;
  add.u64 %a1, %a0, %a1;

  // f32: y = fma(t, 1/3, 0.1) / (t + 2), and its root
  cvt.rn.f32.u32 %f0, %r0;
  fma.rn.f32 %f1, %f0, 0f3EAAAAAB, 0f3DCCCCCD;
  add.rn.f32 %f2, %f0, 0f40000000;
  div.rn.f32 %f1, %f1, %f2;
  sqrt.rn.f32 %f1, %f1;
  st.global.f32 [%a1], %f1;

  // f64: the low bits of the same without the root
  cvt.rn.f64.u32 %d0, %r0;
  fma.rn.f64 %d1, %d0, 0d3FD5555555555555, 0d3FB999999999999A;
  add.rn.f64 %d2, %d0, 0d4000000000000000;
  div.rn.f64 %d1, %d1, %d2;
  mov.b64 %a2, %d1;
  cvt.u32.u64 %r1, %a2;
  st.global.u32 [%a1+128], %r1;

  // f16: the nearest to y, and back
  cvt.rn.f16.f32 %h, %f1;
  cvt.f32.f16 %f3, %h;
  st.global.f32 [%a1+256], %f3;

  // dot products of four bytes with a sign
  mul.lo.u32 %r2, %r0, 0x0937251b;
  mul.lo.u32 %r3, %r0, 0x9d0b71c5;
  dp4a.s32.s32 %r4, %r2, %r3, %r0;
  st.global.u32 [%a1+384], %r4;

  // subgroups: thread t gets the square of thread t ^ 5
  mul.lo.u32 %r5, %r0, %r0;
  shfl.sync.bfly.b32 %r6, %r5, 5, 31, -1;
  st.global.u32 [%a1+512], %r6;

  // shared memory: thread t gets what thread 31 - t has left
  mov.u32 %r7, row;
  mad.lo.u32 %r8, %r0, 4, %r7;
  st.shared.u32 [%r8], %r2;
  bar.sync 0;
  sub.u32 %r9, 31, %r0;
  mad.lo.u32 %r9, %r9, 4, %r7;
  ld.shared.u32 %r9, [%r9];
  st.global.u32 [%a1+640], %r9;

  // atomics: t is added to one of four sums
  and.b32 %r10, %r0, 3;
  mul.wide.u32 %a3, %r10, 4;
  add.u64 %a3, %a0, %a3;
  red.global.add.f32 [%a3+768], %f0;
  ret;
}
)";

}  // namespace sluice
