// PETSc preconditioner type `mmf`: y = |F|^-1 x, where F is the multiresolution factorization of
// the preconditioning matrix and |F| takes its eigenvalues by absolute value (zeros count as the
// largest one). It is symmetric positive definite whatever the matrix is, so it serves CG and
// MINRES.
//
//   program -dll_append <folder>/libpympf_petsc.so -pc_type mmf -pc_mmf_<field> <value>
//
// The fields are those of mmf/params.hpp, and reuse_rotations. One process; on several processes it
// is the solver of the blocks of bjacobi or asm.
#include <petsc/private/pcimpl.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iomanip>
#include <limits>
#include <new>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "pympf/la/sparse.hpp"
#include "pympf/mmf/mmf.hpp"

#if defined(PETSC_USE_COMPLEX)
#error "pympf factors real matrices: build it with a PETSc that has --with-scalar-type=real"
#endif
#if PETSC_VERSION_LT(3, 18, 0)
#error "the pympf preconditioner needs PETSc 3.18 or newer"
#endif
static_assert(std::is_same_v<PetscScalar, double> || std::is_same_v<PetscScalar, float>,
              "pympf computes in double or single precision");

namespace pympf {
namespace {

using Matrix = CsrView<PetscScalar>;
using Factors = mmf::Mmf<PetscScalar>;

struct PcMmf {
  mmf::Params params;
  bool reuse_rotations = true;
  std::optional<Factors> F, M;  // of the matrix; its |F|^-1, on the same rotations
  int reused = 0;               // setups that took over the rotations of an earlier one
  std::vector<PetscScalar> block;
};

PcMmf& data(PC pc) { return *static_cast<PcMmf*>(pc->data); }

// The fields of the factorization, and ours.
const std::vector<Field<PcMmf>>& options() {
  static const std::vector<Field<PcMmf>> list = [] {
    std::vector<Field<PcMmf>> all;
    for (const auto& f : mmf::fields())
      all.push_back({f.name, f.kind, f.minimum, f.maximum, f.choices, f.doc,
                     [&f](const PcMmf& p) { return f.get(p.params); },
                     [&f](PcMmf& p, double value) { f.assign(p.params, value); }});
    all.push_back(field("reuse_rotations", &PcMmf::reuse_rotations, 0, 1,
                        "When only the values of the matrix changed, keep the rotations and "
                        "project the new values on them: quicker, and as good while the values "
                        "change by a factor or by little."));
    return all;
  }();
  return list;
}

// ---- errors -------------------------------------------------------------------------------------

// A factorization that breaks down is a property of the matrix: the outer solver may go on without
// it, unless the user asked for an error (as PCLU does).
PetscErrorCode break_down(PC pc, const char* text) {
  PetscFunctionBegin;
  PetscCheck(!pc->erroriffailure, PetscObjectComm((PetscObject)pc), PETSC_ERR_CONV_FAILED,
             "PC mmf: %s", text);
  PetscCall(PetscInfo(pc, "%s\n", text));
  PetscCall(PCSetFailedReason(pc, PC_FACTOR_OTHER));
  PetscFunctionReturn(PetscErrorCode(0));
}

// Runs `body`, which returns a PetscErrorCode, and lets no C++ exception into PETSc.
template <class Body>
PetscErrorCode guarded(PC pc, const Body& body,
                       PetscErrorCode invalid = PetscErrorCode(PETSC_ERR_ARG_WRONG)) {
  const MPI_Comm comm = PetscObjectComm((PetscObject)pc);
  PetscFunctionBegin;
  try {
    PetscCall(body());
  } catch (const InvalidArgument& error) {
    SETERRQ(comm, invalid, "PC mmf: %s", error.what());
  } catch (const Singular& error) {
    PetscCall(break_down(pc, error.what()));
  } catch (const std::bad_alloc&) {
    SETERRQ(comm, PETSC_ERR_MEM, "PC mmf: out of memory");
  } catch (const std::exception& error) {
    SETERRQ(comm, PETSC_ERR_LIB, "PC mmf: %s", error.what());
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- the matrix ---------------------------------------------------------------------------------

PetscErrorCode check_operator(PC pc) {
  PetscLayout rows;
  PetscInt m, n;
  PetscBool assembled;

  PetscFunctionBegin;
  PetscCall(MatGetLayouts(pc->pmat, &rows, nullptr));
  PetscCheck(rows->size == 1, PetscObjectComm((PetscObject)pc), PETSC_ERR_SUP,
             "PC mmf works on one process, the matrix is on %d. Use it on the blocks: -pc_type "
             "bjacobi -sub_pc_type mmf",
             static_cast<int>(rows->size));
  PetscCall(MatGetSize(pc->pmat, &m, &n));
  PetscCheck(m == n, PetscObjectComm((PetscObject)pc), PETSC_ERR_ARG_SIZ,
             "PC mmf expects a square matrix, got %" PetscInt_FMT " rows and %" PetscInt_FMT
             " columns",
             m, n);
  PetscCall(MatAssembled(pc->pmat, &assembled));
  PetscCheck(assembled, PetscObjectComm((PetscObject)pc), PETSC_ERR_ARG_WRONGSTATE,
             "PC mmf expects an assembled matrix: call MatAssemblyBegin() and MatAssemblyEnd()");
  PetscFunctionReturn(PetscErrorCode(0));
}

// A new reference to A if it is stored by rows, else a copy in that form. SeqSBAIJ stores one
// triangle; its copy has both.
PetscErrorCode as_seqaij(Mat A, Mat* aij) {
  PetscBool is_aij, matrix_free;

  PetscFunctionBegin;
  // PETSc would convert these by n products with unit vectors.
  PetscCall(PetscObjectTypeCompareAny((PetscObject)A, &matrix_free, MATSHELL, MATMFFD, MATPYTHON,
                                      nullptr));
  PetscCheck(!matrix_free, PetscObjectComm((PetscObject)A), PETSC_ERR_SUP,
             "PC mmf needs the entries of the matrix, and one of type %s has none: give an "
             "assembled matrix as the second one of KSPSetOperators()",
             ((PetscObject)A)->type_name);
  PetscCall(PetscObjectBaseTypeCompare((PetscObject)A, MATSEQAIJ, &is_aij));
  if (is_aij) {
    PetscCall(PetscObjectReference((PetscObject)A));
    *aij = A;
  } else {
    PetscCall(MatConvert(A, MATSEQAIJ, MAT_INITIAL_MATRIX, aij));
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

// PETSc's indices as ours: the same array if the types agree, else in `copy`.
template <class Int>
const Index* as_index(const Int* from, std::size_t count, std::vector<Index>& copy) {
  if constexpr (std::is_same_v<Int, Index>) {
    return from;
  } else {
    copy.resize(count);
    std::transform(from, from + count, copy.begin(),
                   [](Int i) { return to_index(i, "matrix of PC mmf"); });
    return copy.data();
  }
}

void check_entries(const Matrix& A) {
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const Index j = A.indices[p];
      require(j >= 0 && j < A.cols, "expected column indices from 0 to ", A.cols - 1, ", got ", j,
              " in row ", i);
      require(std::isfinite(A.data[p]), "expected finite entries, got ", A.data[p], " at i = ", i,
              ", j = ", j);
    }
}

bool rows_ascend(const Matrix& A) {
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i] + 1; p < A.indptr[i + 1]; ++p)
      if (A.indices[p - 1] >= A.indices[p]) return false;
  return true;
}

// Rows sorted, entries stored twice summed: arrays handed to MatCreateSeqAIJWithArrays() may come
// unsorted.
Csr<PetscScalar> canonical(const Matrix& A) {
  const Csr<PetscScalar> sorted = transpose<PetscScalar>(transpose(A));
  Csr<PetscScalar> out{A.rows, A.cols, {0}, {}, {}};
  for (Index i = 0; i < A.rows; ++i) {
    for (Index p = sorted.indptr[i]; p < sorted.indptr[i + 1]; ++p)
      if (p > sorted.indptr[i] && sorted.indices[p] == sorted.indices[p - 1]) {
        out.data.back() += sorted.data[p];
      } else {
        out.indices.push_back(sorted.indices[p]);
        out.data.push_back(sorted.data[p]);
      }
    out.indptr.push_back(static_cast<Index>(out.indices.size()));
  }
  return out;
}

// The tolerance of the Python gate (pympf.la).
void check_symmetric(const Matrix& A) {
  constexpr double tolerance = std::is_same_v<PetscScalar, double> ? 1e-12 : 1e-5;
  const Csr<PetscScalar> T = transpose(A);
  double largest = 0, gap = 0;
  Index row = 0, column = 0;
  const auto compare = [&](Index i, Index j, double a, double b) {
    largest = std::max(largest, std::abs(a));
    if (std::abs(a - b) <= gap) return;
    gap = std::abs(a - b);
    row = i;
    column = j;
  };
  for (Index i = 0; i < A.rows; ++i) {
    Index p = A.indptr[i], q = T.indptr[i];
    while (p < A.indptr[i + 1] || q < T.indptr[i + 1]) {
      const Index j = p < A.indptr[i + 1] ? A.indices[p] : A.cols;
      const Index k = q < T.indptr[i + 1] ? T.indices[q] : A.cols;
      compare(i, std::min(j, k), j <= k ? A.data[p++] : 0, k <= j ? T.data[q++] : 0);
    }
  }
  require(gap <= tolerance * largest, "expected a symmetric matrix, got max|a_ij - a_ji| = ", gap,
          " at i = ", row, ", j = ", column, " (allowed: ", tolerance * largest,
          "); give a symmetric one as the second matrix of KSPSetOperators()");
}

// ---- setup --------------------------------------------------------------------------------------

void require_finite(const mmf::CoreDiagonal<PetscScalar>& H) {
  const auto finite = [](const std::vector<PetscScalar>& values) {
    return std::all_of(values.begin(), values.end(),
                       [](PetscScalar v) { return std::isfinite(v); });
  };
  require<Singular>(finite(H.core) && finite(H.diagonal),
                    "the inverse of the factorization is not finite: the entries of the matrix are "
                    "too large or too small; scale it");
}

void factorize(PcMmf& mmf, const Matrix& A, bool same_pattern) {
  // A setup that fails must not leave the factors of the matrix before it.
  const std::optional<Factors> before = std::exchange(mmf.F, std::nullopt);
  mmf.M.reset();
  check_entries(A);
  Csr<PetscScalar> owned;
  const Matrix matrix = rows_ascend(A) ? A : Matrix(owned = canonical(A));
  check_symmetric(matrix);
  if (before && same_pattern && mmf.reuse_rotations) {
    mmf.F = before->refactorize(matrix);
    ++mmf.reused;
  } else {
    mmf.F.emplace(mmf::factorize(matrix, mmf.params));
    mmf.reused = 0;
  }
  mmf.M = mmf.F->preconditioner();
  require_finite(mmf.M->factors().H);
}

PetscErrorCode factorize_seqaij(PC pc, Mat aij) {
  PetscInt n;
  const PetscInt *indptr, *indices;
  const PetscScalar* values;
  PetscBool done;

  PetscFunctionBegin;
  PetscCall(MatGetRowIJ(aij, 0, PETSC_FALSE, PETSC_FALSE, &n, &indptr, &indices, &done));
  PetscCheck(done, PETSC_COMM_SELF, PETSC_ERR_SUP, "PC mmf: the rows of a %s are not accessible",
             ((PetscObject)aij)->type_name);
  PetscCall(MatSeqAIJGetArrayRead(aij, &values));
  const PetscErrorCode failure = guarded(pc, [&] {
    std::vector<Index> indptr_copy, indices_copy;
    const Index rows = to_index(n, "rows of the matrix");
    const Index* ptr = as_index(indptr, static_cast<std::size_t>(n) + 1, indptr_copy);
    const Matrix A{rows, rows, ptr, as_index(indices, ptr[n], indices_copy), values};
    factorize(data(pc), A, pc->flag == SAME_NONZERO_PATTERN);
    return PetscErrorCode(0);
  });
  PetscCall(MatSeqAIJRestoreArrayRead(aij, &values));
  PetscCall(MatRestoreRowIJ(aij, 0, PETSC_FALSE, PETSC_FALSE, &n, &indptr, &indices, &done));
  PetscCall(failure);
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCSetUp_MMF(PC pc) {
  Mat aij;

  PetscFunctionBegin;
  PetscCall(check_operator(pc));
  PetscCall(PCSetFailedReason(pc, PC_NOERROR));
  PetscCall(as_seqaij(pc->pmat, &aij));
  const PetscErrorCode failure = factorize_seqaij(pc, aij);
  PetscCall(MatDestroy(&aij));
  PetscCall(failure);
  pc->setupcalled = PETSC_TRUE;  // PETSc does so after this; -pc_view would say "not set up"
  PetscCall(PCViewFromOptions(pc, nullptr, "-pc_view"));
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- apply --------------------------------------------------------------------------------------

PetscErrorCode check_factored(PC pc) {
  PetscFunctionBegin;
  PetscCheck(data(pc).M, PetscObjectComm((PetscObject)pc), PETSC_ERR_ORDER,
             "PC mmf has no factorization: its last setup failed");
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCApply_MMF(PC pc, Vec x, Vec y) {
  const PetscScalar* in;
  PetscScalar* out;

  PetscFunctionBegin;
  PetscCall(check_factored(pc));
  PetscCall(VecGetArrayRead(x, &in));
  PetscCall(VecGetArrayWrite(y, &out));
  PetscCall(guarded(pc, [&] {
    data(pc).M->multiply(in, out, 1);
    return PetscErrorCode(0);
  }));
  PetscCall(VecRestoreArrayWrite(y, &out));
  PetscCall(VecRestoreArrayRead(x, &in));
  PetscFunctionReturn(PetscErrorCode(0));
}

// Y = M X for columns of leading dimensions ldx and ldy; the factors take blocks by rows.
void apply_block(PcMmf& mmf, const PetscScalar* X, std::size_t ldx, PetscScalar* Y, std::size_t ldy,
                 Index m) {
  const std::size_t n = mmf.M->rows(), columns = m;
  mmf.block.resize(n * columns);
  PetscScalar* block = mmf.block.data();
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t q = 0; q < columns; ++q) block[i * columns + q] = X[q * ldx + i];
  mmf.M->multiply(block, block, m);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t q = 0; q < columns; ++q) Y[q * ldy + i] = block[i * columns + q];
}

PetscErrorCode PCMatApply_MMF(PC pc, Mat X, Mat Y) {
  const PetscScalar* in;
  PetscScalar* out;
  PetscInt columns, ldx, ldy;

  PetscFunctionBegin;
  PetscCall(check_factored(pc));
  PetscCall(MatGetSize(X, nullptr, &columns));
  PetscCall(MatDenseGetLDA(X, &ldx));
  PetscCall(MatDenseGetLDA(Y, &ldy));
  PetscCall(MatDenseGetArrayRead(X, &in));
  PetscCall(MatDenseGetArrayWrite(Y, &out));
  PetscCall(guarded(pc, [&] {
    apply_block(data(pc), in, ldx, out, ldy, to_index(columns, "columns of the block"));
    return PetscErrorCode(0);
  }));
  PetscCall(MatDenseRestoreArrayWrite(Y, &out));
  PetscCall(MatDenseRestoreArrayRead(X, &in));
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- options ------------------------------------------------------------------------------------

// PetscOptionItems* in PETSc 3.18, a type of its own in later ones.
template <class Items>
Items second_argument(PetscErrorCode (*)(PC, Items));
using OptionItems = decltype(second_argument(_PCOps{}.setfromoptions));

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The words that PETSc takes for a logical value; an option without a value is true.
std::string logical(const std::string& text) {
  const std::string word = lower(text);
  if (word.empty() || word == "yes" || word == "on" || word == "1") return "true";
  if (word == "no" || word == "off" || word == "0") return "false";
  return word;
}

// Read as text whatever the kind, so that a wrong value is refused in one place, with what is
// allowed.
PetscErrorCode read_option(PC pc, OptionItems PetscOptionsObject, const Field<PcMmf>& option) {
  const std::string name = "-pc_mmf_" + option.name, now = option.text(data(pc));
  const std::string help = option.doc + " Allowed: " + option.allowed();
  const bool is_number = option.kind == Kind::integer || option.kind == Kind::real;
  char text[256];
  PetscBool given;

  PetscFunctionBegin;
  PetscCall(PetscOptionsString(name.c_str(), help.c_str(), "PCMMF", now.c_str(), text, sizeof(text),
                               &given));
  if (!given) PetscFunctionReturn(PetscErrorCode(0));
  const auto set = [&] {
    option.set(data(pc), option.kind == Kind::boolean ? logical(text) : std::string(text));
    return PetscErrorCode(0);
  };
  PetscCall(guarded(pc, set, is_number ? PETSC_ERR_ARG_OUTOFRANGE : PETSC_ERR_ARG_WRONG));
  PetscFunctionReturn(PetscErrorCode(0));
}

// PETSc ignores options that nobody asks for: a misspelt one would mean the default.
PetscErrorCode refuse_unknown_options(PC pc) {
  PetscOptions database;
  const char* prefix;
  char* all;

  PetscFunctionBegin;
  PetscCall(PetscObjectGetOptions((PetscObject)pc, &database));
  PetscCall(PCGetOptionsPrefix(pc, &prefix));
  PetscCall(PetscOptionsGetAll(database, &all));
  std::istringstream words(lower(all));  // PETSc does not tell upper from lower case either
  PetscCall(PetscFree(all));
  const std::string start = lower(concat("-", prefix ? prefix : "", "pc_mmf_"));
  for (std::string word; words >> word;)
    if (word.rfind(start, 0) == 0) find_field(options(), word.substr(start.size()));
  PetscFunctionReturn(PetscErrorCode(0));
}

bool same(const mmf::Params& a, const mmf::Params& b) {
  const auto& fields = mmf::fields();
  return std::all_of(fields.begin(), fields.end(),
                     [&](const Field<mmf::Params>& f) { return f.get(a) == f.get(b); });
}

PetscErrorCode read_options(PC pc, OptionItems PetscOptionsObject) {
  PcMmf& mmf = data(pc);
  const mmf::Params before = mmf.params;

  PetscFunctionBegin;
  PetscOptionsHeadBegin(PetscOptionsObject, "MMF options");
  for (const auto& option : options()) PetscCall(read_option(pc, PetscOptionsObject, option));
  PetscOptionsHeadEnd();
  PetscCall(refuse_unknown_options(pc));
  mmf::check(mmf.params);
  if (!same(before, mmf.params)) {  // the next solve sets up anew, with the new parameters
    mmf.F.reset();
    mmf.M.reset();
    pc->setupcalled = PETSC_FALSE;
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCSetFromOptions_MMF(PC pc, OptionItems PetscOptionsObject) {
  PetscFunctionBegin;
  PetscCall(guarded(pc, [&] { return read_options(pc, PetscOptionsObject); }));
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- view ---------------------------------------------------------------------------------------

std::string megabytes(std::size_t bytes) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(2) << static_cast<double>(bytes) / 1e6 << " MB";
  return out.str();
}

void write_params(std::ostream& out, const PcMmf& mmf) {
  out << "parameters:";
  bool any = false;
  for (const auto& option : options())
    if (option.get(mmf) != option.default_value()) {
      out << " " << option.name << "=" << option.text(mmf);
      any = true;
    }
  out << (any ? " (the others at their defaults)\n" : " all at their defaults\n");
}

void write_levels(std::ostream& out, const std::vector<mmf::StageReport>& stages) {
  out << "level       rows        nnz  clusters  rotations    retired    dropped         MB    "
         "seconds\n";
  for (const auto& s : stages)
    out << std::setw(5) << s.level << std::setw(11) << s.rows << std::setw(11) << s.nnz
        << std::setw(10) << s.clusters << std::setw(11) << s.rotations << std::setw(11) << s.retired
        << std::scientific << std::setprecision(2) << std::setw(11) << s.dropped << std::fixed
        << std::setw(11) << static_cast<double>(s.bytes) / 1e6 << std::setprecision(3)
        << std::setw(11) << s.seconds << std::defaultfloat << "\n";
}

void write_summary(std::ostream& out, const PcMmf& mmf) {
  const auto& F = mmf.F->factors();
  out << F.stages.size() << " levels, core of " << mmf.F->core_size() << " rows, stopped by "
      << mmf::name(F.stop) << "\n";
  out << "relative Frobenius error " << std::setprecision(3)
      << (F.norm > 0 ? F.dropped / F.norm : 0.0) << ", "
      << megabytes(mmf.F->bytes() + mmf.M->bytes() - F.Q->bytes()) << "\n";
  out << "rotations reused: " << mmf.reused << " times since they were computed\n";
}

std::string description(const PcMmf& mmf, bool with_levels) {
  std::ostringstream out;
  write_params(out, mmf);
  if (mmf.M) {
    if (with_levels) write_levels(out, mmf.F->factors().stages);
    write_summary(out, mmf);
  }
  return out.str();
}

PetscErrorCode PCView_MMF(PC pc, PetscViewer viewer) {
  PetscBool is_ascii;
  PetscViewerFormat format;

  PetscFunctionBegin;
  PetscCall(PetscObjectTypeCompare((PetscObject)viewer, PETSCVIEWERASCII, &is_ascii));
  if (!is_ascii) PetscFunctionReturn(PetscErrorCode(0));
  PetscCall(PetscViewerGetFormat(viewer, &format));
  PetscCall(guarded(pc, [&]() -> PetscErrorCode {
    std::istringstream lines(description(data(pc), format != PETSC_VIEWER_ASCII_INFO));
    for (std::string line; std::getline(lines, line);)
      PetscCall(PetscViewerASCIIPrintf(viewer, "  %s\n", line.c_str()));
    return PetscErrorCode(0);
  }));
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- life ---------------------------------------------------------------------------------------

PetscErrorCode PCReset_MMF(PC pc) {
  PcMmf& mmf = data(pc);

  PetscFunctionBegin;
  mmf.F.reset();
  mmf.M.reset();
  mmf.reused = 0;
  mmf.block = {};
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCDestroy_MMF(PC pc) {
  PetscFunctionBegin;
  delete static_cast<PcMmf*>(pc->data);
  pc->data = nullptr;
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCCreate_MMF(PC pc) {
  PetscFunctionBegin;
  pc->data = new (std::nothrow) PcMmf;
  PetscCheck(pc->data, PETSC_COMM_SELF, PETSC_ERR_MEM, "PC mmf: out of memory");
  pc->ops->setup = PCSetUp_MMF;
  pc->ops->apply = PCApply_MMF;
  pc->ops->applytranspose = PCApply_MMF;
  pc->ops->matapply = PCMatApply_MMF;
  pc->ops->setfromoptions = PCSetFromOptions_MMF;
  pc->ops->view = PCView_MMF;
  pc->ops->reset = PCReset_MMF;
  pc->ops->destroy = PCDestroy_MMF;
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace
}  // namespace pympf

// PETSc calls this when it loads the library; pympf.petsc.register() does so for petsc4py.
PETSC_EXTERN PetscErrorCode PetscDLLibraryRegister_pympf_petsc(void) {
  PetscInt major, minor;

  PetscFunctionBegin;
  PetscCall(PetscGetVersionNumber(&major, &minor, nullptr, nullptr));
  // The layout of a PC changes between minor versions.
  PetscCheck(major == PETSC_VERSION_MAJOR && minor == PETSC_VERSION_MINOR, PETSC_COMM_SELF,
             PETSC_ERR_SUP,
             "libpympf_petsc.so was built for PETSc %d.%d, this program runs PETSc %" PetscInt_FMT
             ".%" PetscInt_FMT ": build pympf with the PETSC_DIR of this program",
             PETSC_VERSION_MAJOR, PETSC_VERSION_MINOR, major, minor);
  PetscCall(PCRegister("mmf", pympf::PCCreate_MMF));
  PetscFunctionReturn(PetscErrorCode(0));
}
