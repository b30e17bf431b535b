#include "pympf/precond/choice/diagonal_steps.hpp"

#include <algorithm>

#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/choice/smooth_look.hpp"

namespace pympf::precond {
namespace {

constexpr double few = 30, few_rough = 45;  // from here on looks are longer
constexpr int brief = 2, long_look = 8;
constexpr double of_bound = 0.85;  // CG takes less than the bound by the condition

}  // namespace

template <class T>
double diagonal_steps(const DistRows<T>& A, const std::vector<T>& d,
                      const NearNullspace& near_nullspace, const Facts& facts, double most) {
  RowProduct<T> multiply(A);
  SmoothLook look(
      A.comm, d, facts.small_sums, [&](const T* x, T* y) { multiply(x, y); },
      [&](const T* r, T* z) {
        for (std::size_t i = 0; i < d.size(); ++i) z[i] = d[i] > 0 ? r[i] / d[i] : T(0);
      });
  double smooth = of_bound * look.steps_after(brief);
  if (smooth > few && smooth <= most) smooth = of_bound * look.steps_after(long_look);
  if (!(smooth <= most)) return Offer::unknown;
  const auto rough = [&](double within, int steps) {
    const auto told = steps_with_diagonal(A, d, near_nullspace, static_cast<int>(within), steps);
    return told ? std::max<double>(smooth, *told) : Offer::unknown;
  };
  const double told = smooth <= few ? rough(std::min(few_rough, most), brief) : Offer::unknown;
  return told <= most ? told : rough(most, long_look);
}

template double diagonal_steps(const DistRows<float>&, const std::vector<float>&,
                               const NearNullspace&, const Facts&, double);
template double diagonal_steps(const DistRows<double>&, const std::vector<double>&,
                               const NearNullspace&, const Facts&, double);

}  // namespace pympf::precond
