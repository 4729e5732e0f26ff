// exp, log and pow of procedures, the same to the last bit as runtime/scalar-math.ts: see there.
#pragma once

namespace sluice {

double scalarExp(double x);
double scalarLog(double x);
/** As JavaScript's `**` where the result is decided: NaN to the power 0 is 1, and 1 to an infinite power is NaN. */
double scalarPow(double x, double y);

}  // namespace sluice
