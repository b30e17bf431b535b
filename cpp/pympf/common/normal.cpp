#include "pympf/common/normal.hpp"

#include <algorithm>
#include <cmath>

namespace pympf {
namespace {

// log u = e log 2 + 2 atanh((m - 1) / (m + 1)) for u = m 2^e with m in [1/2, 1).
double series_log(double u) {
  int e = 0;
  const double m = std::frexp(u, &e);
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double p = 0;
  for (int k = 16; k >= 0; --k) p = p * z + 1.0 / (2 * k + 1);
  return e * 0.6931471805599453 + 2.0 * s * p;
}

// cos 2 pi u and sin 2 pi u: whole quarter turns, and the series for at most an eighth turn.
std::array<double, 2> series_cos_sin(double u) {
  const double quarters = std::floor(4.0 * u + 0.5);
  const double x = (4.0 * u - quarters) * 1.5707963267948966, z = x * x;
  double c = 1, s = 1;
  for (int k = 9; k >= 1; --k) {
    c = 1.0 - z * c / ((2 * k - 1) * (2 * k));
    s = 1.0 - z * s / ((2 * k) * (2 * k + 1));
  }
  s = x * s;
  switch (static_cast<int>(quarters) % 4) {
    case 0:
      return {c, s};
    case 1:
      return {-s, c};
    case 2:
      return {-c, -s};
    default:
      return {s, -c};
  }
}

}  // namespace

double uniform(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>((std::uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
}

std::array<double, 2> normal_pair(const Random::Block& words) {
  const double u = uniform(words[0], words[1]) + 0x1p-53;  // in (0, 1]
  const double radius = std::sqrt(std::max(0.0, -2.0 * series_log(u)));
  const auto [cosine, sine] = series_cos_sin(uniform(words[2], words[3]));
  return {radius * cosine, radius * sine};
}

}  // namespace pympf
