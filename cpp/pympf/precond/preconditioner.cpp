#include "pympf/precond/preconditioner_impl.hpp"

namespace pympf::precond {

template <class T>
Preconditioner<T>::Preconditioner(const DistRows<T>& A, const Params& params,
                                  NearNullspace near_nullspace, Index block,
                                  const std::vector<int>& parts, NearNullspace left,
                                  const Known& known, const mmf::Progress& progress)
    : impl_(std::make_unique<Impl>()) {
  check(params);
  const Index rows = A.own();
  require(A.rows.cols == A.column_count() && A.layout.total() > 0,
          "a square matrix is needed, not ", A.rows.rows, " x ", A.rows.cols);
  require_symmetric_pattern(A);
  const bool moves =
      A.comm.size() > 1 && (params.repartition || A.comm.max(Global{!parts.empty()}) > 0);
  collectively(A.comm, [&] {
    require(block >= 1 && rows % block == 0, "block size ", block, " does not divide the ", rows,
            " rows");
    const auto numbers = static_cast<std::size_t>(rows) * near_nullspace.vectors;
    require(near_nullspace.values.empty() || near_nullspace.values.size() == numbers,
            "the near-nullspace has ", near_nullspace.values.size(), " numbers, expected ", rows,
            " x ", near_nullspace.vectors);
    require(left.values.empty() || A.general,
            "a near-nullspace of A^T is for matrices that are not symmetric");
    require(
        left.values.empty() || left.values.size() == static_cast<std::size_t>(rows) * left.vectors,
        "the left near-nullspace has ", left.values.size(), " numbers, expected ", rows, " x ",
        left.vectors);
    require(parts.size() == static_cast<std::size_t>(moves ? rows : 0), "repartition: got ",
            parts.size(), " ranks for ", moves ? rows : 0, " rows");
  });
  Impl& impl = *impl_;
  impl.rows = impl.callers_rows = rows;
  impl.params = tuned(params);
  impl.pattern = hash(A);
  impl.near_nullspace = std::move(near_nullspace);
  impl.left = std::move(left);
  impl.block = block;
  if (params.method == Method::classic) {
    require(!A.general && !moves, "the method 'classic' is for symmetric matrices, where they are");
    require(A.comm.max(Global{block > 1 || !impl.near_nullspace.values.empty()}) == 0,
            "near_nullspace, block_size: the method 'classic' takes neither");
    impl.keep(Classic<T>::of(A, params.factorization, progress));
    return;
  }
  impl.placement = describe_placement(A, params, parts);
  if (!moves) {
    impl.take(A, known);
    return;
  }
  impl.repartitioned = std::make_unique<Repartitioned<T>>(A.comm, parts);
  impl.rows = impl.repartitioned->repartition.own();
  // A rank without rows cannot tell from its part whether vectors are given.
  if (A.comm.max(Global{!impl.near_nullspace.values.empty()}) > 0)
    impl.near_nullspace = impl.repartitioned->forward(impl.near_nullspace);
  if (A.comm.max(Global{!impl.left.values.empty()}) > 0)
    impl.left = impl.repartitioned->forward(impl.left);
  impl.take(impl.repartitioned->repartition.forward(A), known);
}

template <class T>
Preconditioner<T>::Preconditioner(std::shared_ptr<const mmf::Mmf<T>> F)
    : impl_(std::make_unique<Impl>()) {
  Impl& impl = *impl_;
  impl.rows = impl.callers_rows = F->rows();
  impl.params.method = Method::classic;
  impl.params.factorization = F->factors().params;
  impl.params.rows_per_rank = impl.params.factorization.rows_per_rank;
  impl.keep(Classic<T>(std::move(F)));
}

template <class T>
std::shared_ptr<const mmf::Mmf<T>> Preconditioner<T>::factorization() const {
  return impl_->classic() ? impl_->classic()->factorization() : nullptr;
}

template <class T>
bool Preconditioner<T>::has_pattern(const DistRows<T>& A) const {
  return A.comm.min(Global{impl_->fits(A)}) > 0;
}

template <class T>
void Preconditioner<T>::update(const DistRows<T>& A) {
  Impl& impl = *impl_;
  collectively(A.comm, [&] {
    require(impl.fits(A),
            "an update needs a matrix with the rows and the pattern of the first one");
    require(A.general == !impl.report.symmetric,
            "an update needs a matrix that is symmetric where the first one was, and general where "
            "that was");
  });
  impl.whole = false;
  if (impl.repartitioned)
    impl.refresh(impl.repartitioned->repartition.forward(A));
  else
    impl.refresh(A);
  impl.whole = true;
}

template <class T>
bool Preconditioner<T>::fall_back(const DistRows<T>& A, const std::string& why) {
  Impl& impl = *impl_;
  return impl.repartitioned ? impl.fall_back(impl.repartitioned->repartition.forward(A), why)
                            : impl.fall_back(A, why);
}

template <class T>
Preconditioner<T>::~Preconditioner() = default;
template <class T>
Preconditioner<T>::Preconditioner(Preconditioner&&) noexcept = default;
template <class T>
Preconditioner<T>& Preconditioner<T>::operator=(Preconditioner&&) noexcept = default;
template <class T>
Index Preconditioner<T>::rows() const {
  return impl_->callers_rows;
}
template <class T>
const Params& Preconditioner<T>::params() const {
  return impl_->params;
}
template <class T>
const Report& Preconditioner<T>::report() const {
  return impl_->report;
}

template <class T>
void Preconditioner<T>::apply(const T* r, T* z) const {
  const Index n = impl_->callers_rows;
  apply({n, {r}}, {n, {z}});
}

template <class T>
void Preconditioner<T>::apply(const Block<const T>& R, const Block<T>& Z) const {
  impl_->apply_where_rows_are(R, Z, false);
}

template <class T>
void Preconditioner<T>::apply_transpose(const Block<const T>& R, const Block<T>& Z) const {
  impl_->apply_where_rows_are(R, Z, true);
}

template class Preconditioner<float>;
template class Preconditioner<double>;

}  // namespace pympf::precond
