// Sketch matrices for Python: no logic, no defaults; the typed face is pympf/sketch/matrices.py.
// Arrays come in as they are, C-contiguous and of the right type, or not at all.
#include <pybind11/stl.h>

#include <optional>

#include "arrays.hpp"
#include "pympf/sketch/block_sparse.hpp"
#include "pympf/sketch/cyclic.hpp"
#include "pympf/sketch/orthonormal.hpp"

using namespace pympf;
using namespace pympf::sketch;
using namespace pympf::python;

namespace {

Communicator communicator(std::optional<int> handle) {
  return handle ? Communicator::from_fortran(*handle) : Communicator::self();
}

// A matrix over the ranks of a communicator: vectors are cyclic (cyclic.hpp), and a product gathers
// its argument.
template <class Matrix>
struct Distributed {
  template <class... Args>
  Distributed(const Communicator& on, Index in_blocks, std::size_t length, Args&&... args)
      : comm(on), blocks(in_blocks), block_length(length), matrix(std::forward<Args>(args)...) {}

  template <class T, class F>
  void with_all(const T* own, std::size_t own_rows, Index k, const F& use) const {
    if (comm.size() == 1) return use(own);
    std::vector<T> all(static_cast<std::size_t>(blocks) * block_length * k);
    gather_cyclic(comm, std::vector<T>(own, own + own_rows * k), blocks, block_length * k,
                  all.data());
    use(all.data());
  }

  Communicator comm;
  Index blocks;
  std::size_t block_length;
  Matrix matrix;
};

struct BlockSparseOn : Distributed<BlockSparse> {
  BlockSparseOn(const DistributionParams& params, bool stored, std::optional<int> comm)
      : BlockSparseOn(params, stored, communicator(comm)) {}
  BlockSparseOn(const DistributionParams& params, bool stored, const Communicator& comm)
      : Distributed(comm, params.b > 0 ? params.d / params.b : 0, params.b, params, stored,
                    Share{comm.rank(), comm.size()}) {}
  Index own_size() const { return matrix.own_size(); }
  template <class T>
  void apply(const T* all, Index k, T* own) const {
    matrix.apply(all, k, own);
  }
  template <class T>
  void apply_transpose(const T* all, Index k, T* own) const {
    matrix.apply_transpose(all, k, own);
  }
};

// Every rank transforms the whole vector and keeps its own blocks.
struct OrthonormalOn : Distributed<Orthonormal> {
  OrthonormalOn(Index d, Index b, std::uint64_t seed, std::uint64_t name, std::optional<int> comm)
      : Distributed(communicator(comm), d / b, b, d, seed, name) {}
  Share share() const { return {comm.rank(), comm.size()}; }
  Index own_size() const { return share().before(blocks) * static_cast<Index>(block_length); }
  template <class T, class F>
  void keep_own(Index k, T* own, const F& make) const {
    if (comm.size() == 1) return make(own);
    std::vector<T> all(static_cast<std::size_t>(matrix.d()) * k);
    make(all.data());
    const std::size_t length = block_length * k;
    for (Index i = comm.rank(); i < blocks; i += comm.size(), own += length)
      std::copy_n(all.data() + i * length, length, own);
  }
  template <class T>
  void apply(const T* all, Index k, T* own) const {
    keep_own(k, own, [&](T* y) { matrix.apply(all, k, y); });
  }
  template <class T>
  void apply_transpose(const T* all, Index k, T* own) const {
    keep_own(k, own, [&](T* x) { matrix.apply_transpose(all, k, x); });
  }
};

template <class Class>
void define_products(Class& c) {
  using Self = typename Class::type;
  const auto define = [&]<class T>(T) {
    c.def(
        "apply",
        [](const Self& R, const Array<T>& X) {
          Result<T> out({R.own_size(), X.shape(1)});
          const auto k = static_cast<Index>(X.shape(1));
          unlocked([&, to = out.data()] {
            R.with_all(X.data(), X.shape(0), k, [&](const T* all) { R.apply(all, k, to); });
          });
          return out.array;
        },
        py::arg("X").noconvert());
    c.def(
        "apply_transpose",
        [](const Self& R, const Array<T>& Y) {
          Result<T> out({R.own_size(), Y.shape(1)});
          const auto k = static_cast<Index>(Y.shape(1));
          unlocked([&, to = out.data()] {
            R.with_all(Y.data(), Y.shape(0), k,
                       [&](const T* all) { R.apply_transpose(all, k, to); });
          });
          return out.array;
        },
        py::arg("Y").noconvert());
  };
  define(float{});
  define(double{});
  c.def(
      "gather",
      [](const Self& R, const Array<double>& X) {
        Result<double> out({R.blocks * py::ssize_t(R.block_length), X.shape(1)});
        unlocked([&, to = out.data()] {
          R.with_all(X.data(), X.shape(0), static_cast<Index>(X.shape(1)),
                     [&](const double* all) { std::copy_n(all, out.array.size(), to); });
        });
        return out.array;
      },
      py::arg("X").noconvert());
  c.def_property_readonly("own_size", &Self::own_size);
  c.def_property_readonly("bytes", [](const Self& R) { return R.matrix.bytes(); });
}

Array<Word> random_strings(const BlockSparseOn& R, const Array<Index>& js) {
  Result<Word> out({js.shape(0)});
  for (py::ssize_t i = 0; i < js.shape(0); ++i)
    out.data()[i] = R.matrix.distribution().random_string(js.data()[i]);
  return out.array;
}

// Codes of the nonzero blocks of columns, and where those of each column end.
py::tuple codes(const BlockSparseOn& R, const Array<Index>& js) {
  const Distribution& distribution = R.matrix.distribution();
  const Index bands = distribution.bands();
  std::vector<Code> found, column(distribution.most_codes(0, bands));
  Result<std::int64_t> ends({js.shape(0)});
  for (py::ssize_t i = 0; i < js.shape(0); ++i) {
    const Code* const end = distribution.codes(js.data()[i], 0, bands, column.data());
    found.insert(found.end(), static_cast<const Code*>(column.data()), end);
    ends.data()[i] = static_cast<std::int64_t>(found.size());
  }
  return py::make_tuple(Array<Code>(static_cast<py::ssize_t>(found.size()), found.data()),
                        ends.array);
}

}  // namespace

PYBIND11_MODULE(_sketch, m) {
  if (join_team() < 0) throw py::error_already_set();
  py::register_exception_translator(&translate);

  py::class_<BlockSparseOn> block_sparse(m, "BlockSparse");
  block_sparse
      .def(py::init([](Index d, Index b, Index weight, double probability, std::uint64_t seed,
                       std::uint64_t name, bool stored, std::optional<int> comm) {
             return std::make_unique<BlockSparseOn>(
                 DistributionParams{d, b, weight, probability, seed, name}, stored, comm);
           }),
           Released())
      .def_property_readonly(
          "matrix_signature",
          [](const BlockSparseOn& R) { return R.matrix.distribution().matrix_signature(); })
      .def_property_readonly("scale",
                             [](const BlockSparseOn& R) { return R.matrix.distribution().scale(); })
      .def_property_readonly("block_count",
                             [](const BlockSparseOn& R) { return R.matrix.block_count(); })
      .def("random_strings", &random_strings, py::arg("js").noconvert())
      .def("codes", &codes, py::arg("js").noconvert());
  define_products(block_sparse);

  py::class_<OrthonormalOn> orthonormal(m, "Orthonormal");
  orthonormal.def(py::init<Index, Index, std::uint64_t, std::uint64_t, std::optional<int>>(),
                  Released());
  define_products(orthonormal);
}
