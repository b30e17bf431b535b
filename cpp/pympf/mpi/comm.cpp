#include "pympf/mpi/comm.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "pympf/common/error.hpp"

namespace pympf {

#ifdef PYMPF_HAVE_MPI

namespace {

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw MpiError(concat(call, " failed: ", std::string(text, length)));
}

bool is_running() {
  int initialized = 0, finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized && !finalized;
}

void require_running() {
  require<MpiError>(is_running(),
                    "expected a call between MPI_Init and MPI_Finalize (in Python: after `from "
                    "mpi4py import MPI`), but MPI is not running");
}

MPI_Datatype datatype(double) { return MPI_DOUBLE; }
MPI_Datatype datatype(std::int64_t) { return MPI_INT64_T; }

}  // namespace

struct Communicator::Duplicate {
  using Pointer = std::shared_ptr<const Duplicate>;

  MPI_Comm comm = MPI_COMM_NULL;

  explicit Duplicate(MPI_Comm user) {
    check(MPI_Comm_dup(user, &comm), "MPI_Comm_dup");
    check(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  }
  Duplicate(const Duplicate&) = delete;
  Duplicate& operator=(const Duplicate&) = delete;
  ~Duplicate() {
    if (is_running()) MPI_Comm_free(&comm);
  }

  // The duplicate of `user` is kept as an attribute of it, which MPI deletes when `user` is freed.
  static Pointer of(MPI_Comm user) {
    void* attribute = nullptr;
    int found = 0;
    check(MPI_Comm_get_attr(user, key(), &attribute, &found), "MPI_Comm_get_attr");
    if (found) return *static_cast<Pointer*>(attribute);
    auto kept = std::make_unique<Pointer>(std::make_shared<const Duplicate>(user));
    check(MPI_Comm_set_attr(user, key(), kept.get()), "MPI_Comm_set_attr");
    return *kept.release();
  }

 private:
  static int key() {
    static const int created = [] {
      int key = MPI_KEYVAL_INVALID;
      check(MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, &delete_attribute, &key, nullptr),
            "MPI_Comm_create_keyval");
      return key;
    }();
    return created;
  }

  static int delete_attribute(MPI_Comm, int, void* attribute, void*) {
    delete static_cast<Pointer*>(attribute);
    return MPI_SUCCESS;
  }
};

Communicator::Communicator(MPI_Comm user) {
  require_running();
  require(user != MPI_COMM_NULL, "expected a communicator, got MPI_COMM_NULL");
  int is_inter = 0;
  check(MPI_Comm_test_inter(user, &is_inter), "MPI_Comm_test_inter");
  require(!is_inter, "expected an intracommunicator, got an intercommunicator");
  duplicate_ = Duplicate::of(user);
  check(MPI_Comm_rank(duplicate_->comm, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(duplicate_->comm, &size_), "MPI_Comm_size");
}

Communicator Communicator::world() { return Communicator(MPI_COMM_WORLD); }

Communicator Communicator::from_fortran(int handle) {
  require_running();
  return Communicator(MPI_Comm_f2c(handle));
}

template <class T>
T Communicator::reduce(T value, Reduction reduction) const {
  if (!duplicate_) return value;
  const MPI_Op op = reduction == Reduction::sum   ? MPI_SUM
                    : reduction == Reduction::min ? MPI_MIN
                                                  : MPI_MAX;
  T result;
  check(MPI_Allreduce(&value, &result, 1, datatype(value), op, duplicate_->comm), "MPI_Allreduce");
  return result;
}

std::string Communicator::broadcast(const std::string& text, int root) const {
  if (!duplicate_) return text;
  std::string result = text;
  std::uint64_t length = text.size();
  check(MPI_Bcast(&length, 1, MPI_UINT64_T, root, duplicate_->comm), "MPI_Bcast");
  result.resize(length);
  check(MPI_Bcast(result.data(), static_cast<int>(length), MPI_CHAR, root, duplicate_->comm),
        "MPI_Bcast");
  return result;
}

std::vector<int> Communicator::ranks_where(bool condition) const {
  std::vector<int> flags(size_, condition);
  if (duplicate_) {
    const int flag = condition;
    check(MPI_Allgather(&flag, 1, MPI_INT, flags.data(), 1, MPI_INT, duplicate_->comm),
          "MPI_Allgather");
  }
  std::vector<int> ranks;
  for (int rank = 0; rank < size_; ++rank) {
    if (flags[rank]) ranks.push_back(rank);
  }
  return ranks;
}

std::vector<std::int64_t> Communicator::gather(std::int64_t value) const {
  std::vector<std::int64_t> values(size_, value);
  if (duplicate_)
    check(MPI_Allgather(&value, 1, MPI_INT64_T, values.data(), 1, MPI_INT64_T, duplicate_->comm),
          "MPI_Allgather");
  return values;
}

void Communicator::exchange_counts(std::vector<std::int64_t>& counts) const {
  if (!duplicate_) return;
  const std::vector<std::int64_t> sent = counts;
  check(MPI_Alltoall(sent.data(), 1, MPI_INT64_T, counts.data(), 1, MPI_INT64_T, duplicate_->comm),
        "MPI_Alltoall");
  const std::int64_t most =
      max(std::max(std::accumulate(sent.begin(), sent.end(), std::int64_t{0}),
                   std::accumulate(counts.begin(), counts.end(), std::int64_t{0})));
  require<MpiError>(most <= std::numeric_limits<int>::max(), "a rank would send or receive ", most,
                    " elements in one exchange; allowed are 2147483647 = 2^31 - 1");
}

void Communicator::exchange_bytes(const void* send, const std::vector<std::int64_t>& sent,
                                  void* receive, const std::vector<std::int64_t>& received,
                                  std::size_t size) const {
  if (!duplicate_) {
    if (sent[0] > 0) std::memcpy(receive, send, sent[0] * size);
    return;
  }
  const auto places = [](const std::vector<std::int64_t>& counts) {
    std::vector<int> begin(counts.size());
    std::exclusive_scan(counts.begin(), counts.end(), begin.begin(), 0);
    return begin;
  };
  const std::vector<int> send_counts(sent.begin(), sent.end()), send_begin = places(sent);
  const std::vector<int> counts(received.begin(), received.end()), begin = places(received);
  MPI_Datatype element;
  check(MPI_Type_contiguous(static_cast<int>(size), MPI_BYTE, &element), "MPI_Type_contiguous");
  check(MPI_Type_commit(&element), "MPI_Type_commit");
  const int code = MPI_Alltoallv(send, send_counts.data(), send_begin.data(), element, receive,
                                 counts.data(), begin.data(), element, duplicate_->comm);
  MPI_Type_free(&element);
  check(code, "MPI_Alltoallv");
}

#else

struct Communicator::Duplicate {};

Communicator Communicator::world() { return self(); }

Communicator Communicator::from_fortran(int handle) {
  throw InvalidArgument(concat("expected no communicator, got the handle ", handle,
                               ": pympf was built without MPI, which allows one process only"));
}

template <class T>
T Communicator::reduce(T value, Reduction) const {
  return value;
}

std::string Communicator::broadcast(const std::string& text, int) const { return text; }

std::vector<int> Communicator::ranks_where(bool condition) const {
  return condition ? std::vector<int>{0} : std::vector<int>{};
}

std::vector<std::int64_t> Communicator::gather(std::int64_t value) const { return {value}; }

void Communicator::exchange_counts(std::vector<std::int64_t>&) const {}

void Communicator::exchange_bytes(const void* send, const std::vector<std::int64_t>& sent,
                                  void* receive, const std::vector<std::int64_t>&,
                                  std::size_t size) const {
  if (sent[0] > 0) std::memcpy(receive, send, sent[0] * size);
}

#endif

template double Communicator::reduce(double, Reduction) const;
template std::int64_t Communicator::reduce(std::int64_t, Reduction) const;

void collective_check(const Communicator& comm, const std::string& local_error) {
  const std::vector<int> failed = comm.ranks_where(!local_error.empty());
  if (failed.empty()) return;
  constexpr std::size_t shown = 5;
  std::string ranks;
  for (std::size_t i = 0; i < failed.size() && i < shown; ++i) {
    ranks += concat(i == 0 ? "" : ", ", failed[i]);
  }
  if (failed.size() > shown) ranks += concat(" and ", failed.size() - shown, " more");
  throw MpiError(concat("rank ", ranks, " of ", comm.size(), ": ",
                        comm.broadcast(local_error, failed.front())));
}

}  // namespace pympf
