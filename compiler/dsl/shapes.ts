// Shapes in types: what lets an editor refuse most wrong shapes. A size is `784`, `"B"`, or `any` where it is not known, and
// `any` agrees with everything. A clash becomes a string literal type that shows both shapes. The types never decide
// anything: tracing checks every shape again.
import type { DType } from "../base/dtypes.ts";
import type { Dim, DimLike, Num, Span } from "./dims.ts";
import type { Tensor } from "./tensor.ts";

/** A size in a type: `784`, `"B"`, or `any` where it is not known. */
export type Axis = number | string;
export type Shape = readonly Axis[];

export type IsAny<T> = 0 extends 1 & T ? true : false;
type Loose<T> = IsAny<T> extends true ? true : number extends T ? true : string extends T ? true : false;
type Unranked<S> = IsAny<S> extends true ? true : S extends readonly unknown[] ? (number extends S["length"] ? true : false) : true;
export interface Clash<M extends string> { readonly clash: M }

export type AxisOf<L> = L extends Dim<infer N> ? N : number extends L ? any : L extends number ? L : any;
export type ShapeOf<L extends readonly DimLike[]> = { -readonly [i in keyof L]: AxisOf<L[i]> };
export type Product<K, N> = Loose<K> extends true ? any : Loose<N> extends true ? any : `${K & Axis}*${N & Axis}`;
export type Sum<N, K> = Loose<K> extends true ? any : Loose<N> extends true ? any : `${N & Axis}+${K & Axis}`;
export type Diff<N, K> = Loose<K> extends true ? any : N extends `${infer M}+${K & Axis}` ? M : `${N & Axis}-${K & Axis}`;
export type Quotient<N, K> = Loose<K> extends true ? any : N extends `${K & Axis}*${infer M}` ? M : `${N & Axis}/${K & Axis}`;
/** Named sizes of an entry bind at the call. */
export type Unnamed<S> = S extends readonly unknown[] ? { [i in keyof S]: S[i] extends string ? any : S[i] } : any;

export type Show<S> = Unranked<S> extends true ? "…" : S extends readonly [infer a, ...infer r] ? r extends readonly [] ? ShowAxis<a> : `${ShowAxis<a>}, ${Show<r>}` : "";
type ShowAxis<A> = Loose<A> extends true ? "?" : `${A & Axis}`;

type JoinAxis<A, B, A0, B0> = Loose<A> extends true ? (Loose<B> extends true ? any : B extends 1 ? any : B) : Loose<B> extends true ? (A extends 1 ? any : A)
  : A extends B ? A : A extends 1 ? B : B extends 1 ? A : Clash<`[${Show<A0>}] with [${Show<B0>}]: ${A & Axis} against ${B & Axis}`>;
/** Broadcasting from the right. */
export type Join<A, B, A0 = A, B0 = B> = Unranked<A> extends true ? any : Unranked<B> extends true ? any
  : A extends readonly [...infer Ai, infer a] ? B extends readonly [...infer Bi, infer b]
    ? JoinAxis<a, b, A0, B0> extends infer j ? j extends Clash<any> ? j : Join<Ai, Bi, A0, B0> extends infer r ? r extends readonly any[] ? [...r, j] : r : never : never
    : A : B;
/** Broadcasts to S without comparing sizes: of use where S is generic. */
export type Near<D extends DType, S> = Tensor<D, S> | Tensor<D, S extends readonly [...infer L, any] ? [...L, 1] : S> | Num;
export type Fit<Op extends string, S, X, T> = Join<S, X> extends Clash<infer M> ? `${Op}: ${M}` : T;

export type AxisIn<S> = Unranked<S> extends true ? any : S extends readonly unknown[] ? number | (S[number] & string) : any;
export type AxesOf<S> = AxisIn<S> | readonly AxisIn<S>[];
export type PickFit<S, X, T> = Unranked<S> extends true ? T : Unranked<X> extends true ? T : S extends readonly [...infer L, any] ? (Begins<X, L> extends true ? T : `takeAlong: ids of [${Show<L>}], and more axes if there are several for each, not [${Show<X>}]`) : T;
/** Whether X begins with the axes of L. */
type Begins<X, L> = L extends readonly [infer l, ...infer Ls] ? X extends readonly [infer x, ...infer Xs] ? Same<x, l> extends true ? Begins<Xs, Ls> : false : false : true;
export type Cat<A, B> = Unranked<A> extends true ? any : Unranked<B> extends true ? any : A extends readonly any[] ? B extends readonly any[] ? [...A, ...B] : any : any;
type FromEnd<S, A> = `${A & number}` extends `-${infer K}` ? S extends readonly [any, ...infer R] ? (K extends "1" ? `${R["length"]}` : K extends "2" ? (R extends readonly [any, ...infer R2] ? `${R2["length"]}` : never) : K extends "3" ? (R extends readonly [any, any, ...infer R3] ? `${R3["length"]}` : never) : never) : never : `${A & number}`;
type Listed<A> = A extends readonly (infer U)[] ? U : A;
type Mark<S extends readonly unknown[], A, M> = [A] extends [number] ? { [i in keyof S]: i extends FromEnd<S, A> ? M : S[i] }
  : { [i in keyof S]: Loose<S[i]> extends true ? S[i] : i extends (A extends number ? FromEnd<S, A> : never) ? M : S[i] extends A & string ? M : S[i] };
interface Gone { readonly gone: true }
type Sift<S> = S extends readonly [infer a, ...infer r] ? IsAny<a> extends true ? [a, ...Sift<r>] : a extends Gone ? Sift<r> : [a, ...Sift<r>] : [];
export type Drop<S, A> = Unranked<S> extends true ? any : [A] extends [-1] ? (S extends readonly [...infer L, any] ? L : any) : [A] extends [0] ? (S extends readonly [any, ...infer R] ? R : any) : Loose<Listed<A>> extends true ? any : S extends readonly unknown[] ? Sift<Mark<S, Listed<A>, Gone>> : any;
export type Keep<S, A> = Unranked<S> extends true ? any : Loose<Listed<A>> extends true ? any : S extends readonly unknown[] ? Mark<S, Listed<A>, 1> : any;

type Same<A, B> = Loose<A> extends true ? true : Loose<B> extends true ? true : [A] extends [B] ? true : false;
export type MatmulOut<S, X, At extends string = `[${Show<S>}] with [${Show<X>}]: `> = Unranked<S> extends true ? any : Unranked<X> extends true ? any
  : S extends readonly [...infer L, infer m, infer k] ? X extends readonly [...infer R, infer j, infer n]
    ? Same<k, j> extends true ? Join<L, R> extends infer b ? b extends readonly any[] ? [...b, m, n] : b : never : Clash<`${At}inner sizes ${ShowAxis<k>} against ${ShowAxis<j>}`>
    : Clash<`${At}needs two axes on the right`> : Clash<`${At}needs two axes on the left`>;
export type MatmulFit<S, X, T> = MatmulOut<S, X> extends Clash<infer M> ? `matmul: ${M}` : T;

/** What is left of X when it ends in I; `never` when it does not. */
export type Lead<X, I> = Unranked<X> extends true ? any : Unranked<I> extends true ? any
  : I extends readonly [...infer I0, infer i] ? X extends readonly [...infer X0, infer x] ? Same<x, i> extends true ? Lead<X0, I0> : never : never : X;
export type LayerFit<Op extends string, X, I, T> = IsAny<Lead<X, I>> extends true ? T : [Lead<X, I>] extends [never] ? `${Op}: the input is [${Show<X>}] and should end in [${Show<I>}]` : T;

type Trim<T extends string> = T extends ` ${infer R}` ? Trim<R> : T extends `${infer R} ` ? Trim<R> : T;
type Words<T extends string> = Trim<T> extends `${infer A} ${infer R}` ? [A, ...Words<R>] : Trim<T> extends "" ? [] : [Trim<T>];
type Commas<T extends string> = T extends `${infer A},${infer R}` ? [Words<A>, ...Commas<R>] : [Words<T>];
type Bind<N, S, E> = Unranked<S> extends true ? { [k in (N & readonly string[])[number] | keyof E]: k extends keyof E ? E[k] : any }
  : N extends readonly [infer n extends string, ...infer ns] ? S extends readonly [infer s, ...infer ss]
    ? n extends keyof E ? Same<E[n], s> extends true ? Bind<ns, ss, Loose<E[n]> extends true ? { [k in keyof E]: k extends n ? s : E[k] } : E> : Clash<`${n} is ${ShowAxis<E[n]>} and ${ShowAxis<s>}`>
      : Bind<ns, ss, E & { [k in n]: s }>
    : Clash<`too many letters for the tensor (at ${n})`>
  : S extends readonly [] ? E : Clash<`too few letters for the tensor (left: [${Show<S>}])`>;
type BindAll<Ns, X, E> = Ns extends readonly [infer n, ...infer ns] ? X extends readonly [infer x, ...infer xs]
    ? Bind<n, x extends Tensor<any, infer S> ? S : never, E> extends infer e ? e extends Clash<any> ? e : BindAll<ns, xs, e> : never
    : Clash<"more operands in the pattern than given"> : X extends readonly [] ? E : Clash<"fewer operands in the pattern than given">;
type Read<N, E> = N extends readonly [infer n, ...infer ns] ? n extends keyof E ? Read<ns, E> extends infer r ? r extends readonly any[] ? [E[n], ...r] : r : never : Clash<`${n & string} is on the right only`> : [];
type Einsum<P extends string, X> = string extends P ? any : P extends `${infer I}->${infer O}` ? I extends `${string}(${string}` ? Clash<"no parentheses in einsum; use rearrange"> : BindAll<Commas<I>, X, {}> extends infer e ? e extends Clash<any> ? e : Read<Words<O>, e> : never : Clash<"no -> in the pattern">;
export type EinsumOut<P extends string, X> = Einsum<P, X> extends infer r ? IsAny<r> extends true ? any : r extends Shape ? r : any : never;
export type EinsumFit<P extends string, X> = Einsum<P, X> extends infer r ? IsAny<r> extends true ? P : r extends Clash<infer M> ? `einsum: ${M}` : P : never;

export type Sizes = { readonly [letter: string]: DimLike };
// "b s (h d)" -> ["b", "s", ["h", "d"]]
type Groups<T extends string> = Trim<T> extends `(${infer G})${infer R}` ? [Words<G>, ...Groups<R>] : Trim<T> extends `${infer A} ${infer R}` ? [A, ...Groups<R>] : Trim<T> extends "" ? [] : [Trim<T>];
type Size<n, Z> = n extends keyof Z ? AxisOf<Z[n]> : unknown;
type BindGroup<G, s, Z> = G extends readonly [infer a extends string, infer b extends string] ? unknown extends Size<a, Z>
    ? unknown extends Size<b, Z> ? { [k in a | b]: any } : { [k in b]: Size<b, Z> } & { [k in a]: s extends `${infer R}*${Size<b, Z> & Axis}` ? R : any }
    : { [k in a]: Size<a, Z> } & { [k in b]: unknown extends Size<b, Z> ? (s extends `${Size<a, Z> & Axis}*${infer R}` ? R : any) : Size<b, Z> }
  : { [k in (G & readonly string[])[number]]: unknown extends Size<k, Z> ? any : Size<k, Z> };
type BindGroups<N, S, E, Z> = Unranked<S> extends true ? any : N extends readonly [infer n, ...infer ns] ? S extends readonly [infer s, ...infer ss]
    ? BindGroups<ns, ss, E & (n extends string ? n extends "1" ? {} : { [k in n]: s } : BindGroup<n, s, Z>), Z> : Clash<"the pattern has more axes than the tensor">
  : S extends readonly [] ? E : Clash<`the pattern has fewer axes than [${Show<S>}]`>;
type Times<G, E> = G extends readonly [infer a] ? a extends keyof E ? E[a] : any : G extends readonly [infer a, ...infer r] ? a extends keyof E ? Times<r, E> extends infer t ? Loose<t> extends true ? any : Loose<E[a]> extends true ? any : [E[a], t] extends [number, number] ? any : `${E[a] & Axis}*${t & Axis}` : never : any : 1;
type ReadGroups<N, E, Z> = N extends readonly [infer n, ...infer ns] ? [n extends "1" ? 1 : n extends string ? n extends keyof E ? E[n] : unknown extends Size<n, Z> ? any : Size<n, Z> : Times<n, E>, ...ReadGroups<ns, E, Z>] : [];
type Letters<N> = N extends readonly [infer n, ...infer ns] ? (n extends string ? n : (n & readonly string[])[number]) | Letters<ns> : never;
export type RearrangeOut<P extends string, S, Z> = string extends P ? any : P extends `${infer I}->${infer O}` ? BindGroups<Groups<I>, S, {}, Z> extends infer e ? IsAny<e> extends true ? any : e extends Clash<any> ? any : ReadGroups<Groups<O>, e, Z> : never : any;
export type RearrangeFit<P extends string, S> = string extends P ? P : P extends `${infer I}->${infer O}` ? BindGroups<Groups<I>, S, {}, {}> extends infer e ? IsAny<e> extends true ? P : e extends Clash<infer M> ? `rearrange: ${M}` : Exclude<keyof e & string, Letters<Groups<O>>> extends infer lost ? [lost] extends [never] ? P : `rearrange: ${lost & string} is on the left only; sum it first` : never : never : "rearrange: no -> in the pattern";

type Take<S, A> = S extends readonly [infer h, ...infer t] ? [h] extends [A] ? [A] extends [h] ? t : [h, ...Take<t, A>] : [h, ...Take<t, A>] : never;
type Has<S, A> = S extends readonly [infer h, ...infer t] ? [h, A] extends [A, h] ? true : Has<t, A> : false;
type AnyLoose<S> = S extends readonly [infer h, ...infer t] ? Loose<h> extends true ? true : AnyLoose<t> : false;
type Cancel<A, B, L extends readonly unknown[] = []> = A extends readonly [infer a, ...infer r] ? a extends 1 ? Cancel<r, B, L> : Has<B, a> extends true ? Cancel<r, Take<B, a>, L> : Cancel<r, B, [...L, a]> : [L, Ones<B>];
type Ones<B> = B extends readonly [infer b, ...infer r] ? b extends 1 ? Ones<r> : [b, ...Ones<r>] : [];
export type ReshapeCheck<S, N> = Unranked<S> extends true ? unknown : Unranked<N> extends true ? unknown : AnyLoose<S> extends true ? unknown : AnyLoose<N> extends true ? unknown
  : Cancel<S, N> extends [infer l, infer r] ? l extends [] ? r extends [] ? unknown : `reshape: [${Show<S>}] to [${Show<N>}]: nothing on the left for ${Show<r>}`
    : r extends [] ? `reshape: [${Show<S>}] to [${Show<N>}]: ${Show<l>} is lost`
    : [l, r] extends [[number], [number]] ? `reshape: [${Show<S>}] to [${Show<N>}]: ${Show<l>} against ${Show<r>}` : unknown : unknown;

export type SizeOf<X extends readonly unknown[]> = number extends X["length"] ? any : X["length"];
/** Of two, along the last axis: "H" and 3 make "H+3". Otherwise that axis is not known. */
export type Concat<X, A> = X extends readonly [Tensor<any, infer S>, Tensor<any, infer T>] ? A extends -1 ? Unranked<S> extends true ? any : S extends readonly [...infer L, infer s] ? T extends readonly [...any[], infer t] ? [...L, [s, t] extends [number, number] ? any : Sum<s, t>] : any : any : any : any;
export type SizeAt<S, A> = Unranked<S> extends true ? any : A extends number ? S[FromEnd<S, A> & keyof S] : any;
export type Several<N, T> = IsAny<N> extends true ? T[] : N extends 2 ? [T, T] : N extends 3 ? [T, T, T] : N extends 4 ? [T, T, T, T] : T[];
type NoAxis<Op extends string, K, S> = Unranked<S> extends true ? true : [Exclude<K, number | (S & Shape)[number]>] extends [never] ? true : Clash<`${Op}: no axis ${Exclude<K, number | (S & Shape)[number]> & string} in [${Show<S>}]`>;
export type KeysFit<Op extends string, I, S> = I & (NoAxis<Op, keyof I, S> extends Clash<infer M> ? M : unknown);
export type Cut<S, I> = Unranked<S> extends true ? any : { [i in keyof S]: S[i] extends keyof I ? (I[S[i]] extends Span<infer N> ? N : S[i]) : S[i] };
export type Pieces<N extends number, D extends DType, S> = N extends 2 ? [Piece<N, D, S>, Piece<N, D, S>] : N extends 3 ? [Piece<N, D, S>, Piece<N, D, S>, Piece<N, D, S>] : Piece<N, D, S>[];
type Piece<N extends number, D extends DType, S> = Tensor<D, Unranked<S> extends true ? any : S extends readonly [...infer L, infer l] ? [...L, l extends `${N}*${infer R}` ? R : any] : any>;
