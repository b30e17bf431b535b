// Right-hand sides side by side: each runs the method as if it were alone, up to its next product
// with A or M; then all that wait for the same operator get it in one sweep.
#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov_run.hpp"

namespace pympf::krylov {
namespace {

// The ways that wait for the operator that most wait for; of equals, that of the first.
template <class T>
std::vector<Way<T>*> most_wanted(std::span<Way<T>> ways) {
  std::vector<Way<T>*> most;
  for (Way<T>& first : ways) {
    if (!first.waits()) continue;
    std::vector<Way<T>*> same;
    for (Way<T>& way : ways)
      if (way.wanted.op == first.wanted.op) same.push_back(&way);
    if (same.size() > most.size()) most = std::move(same);
  }
  return most;
}

template <class T>
void compute(Wanted<T>& one) {
  const Operator<T>& op = *one.op;
  if (one.wants_dot && op.apply_dot) {
    one.dot = op.apply_dot(one.x, one.y);
    return;
  }
  op(one.x, one.y);
  if (one.wants_dot) one.dot = dot(one.n, one.x, one.y);
}

template <class T>
void compute(const std::vector<Way<T>*>& ways) {
  if (ways.size() == 1) return compute(ways[0]->wanted);
  const Wanted<T>& first = ways[0]->wanted;
  Block<const T> X(first.n, {});
  Block<T> Y(first.n, {});
  for (const Way<T>* way : ways) {
    X.add(way->wanted.x);
    Y.add(way->wanted.y);
  }
  (*first.op)(X, Y);
  for (Way<T>* way : ways) {
    Wanted<T>& one = way->wanted;
    if (one.wants_dot) one.dot = dot(one.n, one.x, one.y);
  }
}

}  // namespace

template <class T>
void run_together(std::span<Way<T>> ways) {
  const auto go_on = [&](Way<T>& way) {
    try {
      way.go_on();
    } catch (const InvalidArgument& e) {
      if (ways.size() == 1) throw;
      throw InvalidArgument(concat("column ", &way - ways.data(), ": ", e.what()));
    }
  };
  for (Way<T>& way : ways) go_on(way);
  for (;;) {
    const std::vector<Way<T>*> next = most_wanted(ways);
    if (next.empty()) return;
    compute(next);
    for (Way<T>* way : next) go_on(*way);
  }
}

template void run_together(std::span<Way<float>>);
template void run_together(std::span<Way<double>>);

}  // namespace pympf::krylov

namespace pympf {

template <class T>
std::vector<KrylovResult> solve(const std::type_identity_t<Operator<T>>& A,
                                const std::type_identity_t<Operator<T>>* M, Index n,
                                const std::vector<const T*>& b, const std::vector<T*>& x,
                                const KrylovParams& params,
                                const std::vector<KrylovCallback<T>>& callbacks,
                                const Communicator& comm) {
  return krylov::run_all<T>(static_cast<Index>(b.size()), [&](Index c, krylov::Way<T>& way) {
    return krylov::drive<T>(way, {A, M, n, b[c], x[c], comm}, params,
                            callbacks.empty() ? KrylovCallback<T>{} : callbacks[c]);
  });
}

template <class T>
KrylovResult solve(const std::type_identity_t<Operator<T>>& A,
                   const std::type_identity_t<Operator<T>>* M, Index n, const T* b, T* x,
                   const KrylovParams& params,
                   const std::type_identity_t<KrylovCallback<T>>& callback,
                   const Communicator& comm) {
  return solve<T>(A, M, n, std::vector{b}, std::vector{x}, params, {callback}, comm)[0];
}

#define PYMPF_INSTANTIATE(T)                                                               \
  template std::vector<KrylovResult> solve(                                                \
      const Operator<T>&, const Operator<T>*, Index, const std::vector<const T*>&,         \
      const std::vector<T*>&, const KrylovParams&, const std::vector<KrylovCallback<T>>&,  \
      const Communicator&);                                                                \
  template KrylovResult solve(const Operator<T>&, const Operator<T>*, Index, const T*, T*, \
                              const KrylovParams&, const KrylovCallback<T>&, const Communicator&);
PYMPF_INSTANTIATE(float)
PYMPF_INSTANTIATE(double)

}  // namespace pympf
