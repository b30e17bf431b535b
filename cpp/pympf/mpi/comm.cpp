#include "pympf/mpi/comm.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <new>
#include <optional>
#include <thread>

#include "pympf/common/error.hpp"
#include "pympf/mpi/raw.hpp"

namespace pympf {

#ifdef PYMPF_HAVE_MPI

namespace {

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

int to_count(std::size_t count) { return static_cast<int>(to_index(count, "a message")); }

}  // namespace

Communicator::Duplicate::Duplicate(MPI_Comm user) {
  check(MPI_Comm_dup(user, &comm), "MPI_Comm_dup");
  check(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_dup(comm, &failures), "MPI_Comm_dup");
  check(MPI_Comm_set_attr(comm, own_key(), this), "MPI_Comm_set_attr");
}

Communicator::Duplicate::~Duplicate() {
  if (!is_running()) return;
  for (auto& [size, type] : types) MPI_Type_free(&type);
  MPI_Comm_free(&failures);
  MPI_Comm_free(&comm);
}

MPI_Datatype Communicator::Duplicate::type_of(std::size_t size) {
  const auto [at, is_new] = types.try_emplace(size, MPI_DATATYPE_NULL);
  if (is_new) {
    check(MPI_Type_contiguous(static_cast<int>(size), MPI_BYTE, &at->second),
          "MPI_Type_contiguous");
    check(MPI_Type_commit(&at->second), "MPI_Type_commit");
  }
  return at->second;
}

Communicator::Duplicate::Pointer Communicator::Duplicate::of(MPI_Comm user) {
  void* attribute = nullptr;
  int found = 0;
  check(MPI_Comm_get_attr(user, own_key(), &attribute, &found), "MPI_Comm_get_attr");
  if (found) return static_cast<Duplicate*>(attribute)->shared_from_this();
  check(MPI_Comm_get_attr(user, key(), &attribute, &found), "MPI_Comm_get_attr");
  if (found) return *static_cast<Pointer*>(attribute);
  auto kept = std::make_unique<Pointer>(std::make_shared<Duplicate>(user));
  check(MPI_Comm_set_attr(user, key(), kept.get()), "MPI_Comm_set_attr");
  return *kept.release();
}

namespace {

int create_key(MPI_Comm_delete_attr_function* delete_attribute) {
  int key = MPI_KEYVAL_INVALID;
  check(MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, delete_attribute, &key, nullptr),
        "MPI_Comm_create_keyval");
  return key;
}

}  // namespace

int Communicator::Duplicate::key() {
  static const int created = create_key(&delete_attribute);
  return created;
}

int Communicator::Duplicate::own_key() {
  static const int created = create_key(MPI_COMM_NULL_DELETE_FN);
  return created;
}

int Communicator::Duplicate::delete_attribute(MPI_Comm, int, void* attribute, void*) {
  delete static_cast<Pointer*>(attribute);
  return MPI_SUCCESS;
}

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

int Communicator::to_fortran() const { return MPI_Comm_c2f(duplicate_->comm); }

Traffic Communicator::traffic() const { return duplicate_ ? duplicate_->traffic : Traffic{}; }

template <class T>
T Communicator::reduce(T value, Reduction reduction) const {
  if (!duplicate_) return value;
  ++duplicate_->traffic.collectives;
  const MPI_Op op = reduction == Reduction::sum   ? MPI_SUM
                    : reduction == Reduction::min ? MPI_MIN
                                                  : MPI_MAX;
  T result;
  check(MPI_Allreduce(&value, &result, 1, datatype(value), op, duplicate_->comm), "MPI_Allreduce");
  return result;
}

template <class T>
T Communicator::sum_before(T value) const {
  if (!duplicate_) return 0;
  ++duplicate_->traffic.collectives;
  T result = 0;
  check(MPI_Exscan(&value, &result, 1, datatype(value), MPI_SUM, duplicate_->comm), "MPI_Exscan");
  return rank_ == 0 ? 0 : result;
}

Communicator::Bytes Communicator::gather_bytes(const void* mine, std::size_t count,
                                               std::size_t size) const {
  const auto* first = static_cast<const std::byte*>(mine);
  if (!duplicate_) return {first, first + count * size};
  ++duplicate_->traffic.collectives;
  const int own = to_count(count);
  std::vector<int> counts(size_), starts(size_ + 1, 0);
  check(MPI_Allgather(&own, 1, MPI_INT, counts.data(), 1, MPI_INT, duplicate_->comm),
        "MPI_Allgather");
  std::int64_t total = 0;
  for (int rank = 0; rank < size_; ++rank) starts[rank + 1] = to_count(total += counts[rank]);
  Bytes out(static_cast<std::size_t>(total) * size);
  const MPI_Datatype type = duplicate_->type_of(size);
  check(MPI_Allgatherv(mine, own, type, out.data(), counts.data(), starts.data(), type,
                       duplicate_->comm),
        "MPI_Allgatherv");
  return out;
}

namespace {

// The next message with this tag that has arrived, if any.
std::optional<Packet<std::byte>> arrived(MPI_Comm comm, int tag, MPI_Datatype type,
                                         std::size_t size) {
  int is_there = 0, count = 0;
  MPI_Status status;
  check(MPI_Iprobe(MPI_ANY_SOURCE, tag, comm, &is_there, &status), "MPI_Iprobe");
  if (!is_there) return std::nullopt;
  check(MPI_Get_count(&status, type, &count), "MPI_Get_count");
  Packet<std::byte> packet{status.MPI_SOURCE, {}};
  packet.data.resize(static_cast<std::size_t>(count) * size);
  check(MPI_Recv(packet.data.data(), count, type, status.MPI_SOURCE, tag, comm, MPI_STATUS_IGNORE),
        "MPI_Recv");
  return packet;
}

}  // namespace

// Synchronous sends and a barrier that is entered when they have arrived: whoever is through it has
// received everything (T. Hoefler, C. Siebert, A. Lumsdaine, "Scalable communication protocols for
// dynamic sparse data exchange", PPoPP 2010). A rank may be through while another still listens, so
// two calls in a row have different tags.
std::vector<Packet<std::byte>> Communicator::exchange_bytes(const std::vector<View>& out,
                                                            std::size_t size) const {
  std::vector<Packet<std::byte>> in;
  const auto copy_own = [&](const View& view) {
    const auto* first = static_cast<const std::byte*>(view.data);
    in.push_back({view.rank, {first, first + view.count * size}});
  };
  if (!duplicate_) {
    for (const View& view : out) copy_own(view);
    return in;
  }
  const MPI_Datatype type = duplicate_->type_of(size);
  const MPI_Comm comm = duplicate_->comm;
  const int tag = exchange_tag + (duplicate_->exchanges++ & 1);
  std::vector<MPI_Request> sends;
  for (const View& view : out) {
    if (view.rank == rank_) {
      copy_own(view);
      continue;
    }
    check(MPI_Issend(view.data, to_count(view.count), type, view.rank, tag, comm,
                     &sends.emplace_back()),
          "MPI_Issend");
    ++duplicate_->traffic.messages;
    duplicate_->traffic.bytes += static_cast<std::int64_t>(view.count * size);
  }
  ++duplicate_->traffic.collectives;
  MPI_Request barrier = MPI_REQUEST_NULL;
  for (int done = 0; !done;) {
    if (auto packet = arrived(comm, tag, type, size))
      in.push_back(std::move(*packet));
    else
      std::this_thread::yield();  // there may be more ranks than cores
    if (barrier != MPI_REQUEST_NULL) {
      check(MPI_Test(&barrier, &done, MPI_STATUS_IGNORE), "MPI_Test");
    } else {
      int sent = 0;
      check(MPI_Testall(static_cast<int>(sends.size()), sends.data(), &sent, MPI_STATUSES_IGNORE),
            "MPI_Testall");
      if (sent) check(MPI_Ibarrier(comm, &barrier), "MPI_Ibarrier");
    }
  }
  std::sort(in.begin(), in.end(), [](const auto& x, const auto& y) { return x.rank < y.rank; });
  return in;
}

std::string Communicator::broadcast(const std::string& text, int root) const {
  if (!duplicate_) return text;
  duplicate_->traffic.collectives += 2;
  std::string result = text;
  std::uint64_t length = text.size();
  check(MPI_Bcast(&length, 1, MPI_UINT64_T, root, duplicate_->comm), "MPI_Bcast");
  result.resize(length);
  check(MPI_Bcast(result.data(), static_cast<int>(length), MPI_CHAR, root, duplicate_->comm),
        "MPI_Bcast");
  return result;
}

void Communicator::end_unless_all_fail(const std::string& reason) const {
  if (size_ == 1) return;
  constexpr std::chrono::seconds patience{10};
  const auto start = std::chrono::steady_clock::now();
  MPI_Request barrier = MPI_REQUEST_NULL;
  check(MPI_Ibarrier(duplicate_->failures, &barrier), "MPI_Ibarrier");
  for (int all = 0;; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
    check(MPI_Test(&barrier, &all, MPI_STATUS_IGNORE), "MPI_Test");
    if (all) return;
    if (std::chrono::steady_clock::now() - start > patience) break;
  }
  std::cerr << "rank " << rank_ << " of " << size_
            << " ends the job, for the others wait for it in a collective call: " << reason
            << std::endl;
  MPI_Abort(MPI_COMM_WORLD, 1);
}

std::vector<int> Communicator::ranks_where(bool condition) const {
  std::vector<int> flags(size_, condition);
  if (duplicate_) {
    ++duplicate_->traffic.collectives;
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

#else

struct Communicator::Duplicate {};

template <class T>
T Communicator::reduce(T value, Reduction) const {
  return value;
}

template <class T>
T Communicator::sum_before(T) const {
  return 0;
}

int Communicator::to_fortran() const { return 0; }

Traffic Communicator::traffic() const { return {}; }

Communicator::Bytes Communicator::gather_bytes(const void* mine, std::size_t count,
                                               std::size_t size) const {
  const auto* first = static_cast<const std::byte*>(mine);
  return {first, first + count * size};
}

std::vector<Packet<std::byte>> Communicator::exchange_bytes(const std::vector<View>& out,
                                                            std::size_t size) const {
  std::vector<Packet<std::byte>> in;
  for (const View& view : out) in.push_back({view.rank, gather_bytes(view.data, view.count, size)});
  return in;
}

Communicator Communicator::world() { return self(); }

Communicator Communicator::from_fortran(int handle) {
  throw InvalidArgument(concat("expected no communicator, got the handle ", handle,
                               ": pympf was built without MPI, which allows one process only"));
}

std::string Communicator::broadcast(const std::string& text, int) const { return text; }

void Communicator::end_unless_all_fail(const std::string&) const {}

std::vector<int> Communicator::ranks_where(bool condition) const {
  return condition ? std::vector<int>{0} : std::vector<int>{};
}

#endif

#define PYMPF_INSTANTIATE(T)                           \
  template T Communicator::reduce(T, Reduction) const; \
  template T Communicator::sum_before(T) const;
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(std::int64_t)

namespace {

// The error of the first rank that has one, with the names of all that do; empty: there is none.
std::string error_on_all(const Communicator& comm, const std::vector<int>& failed,
                         const std::string& local_error) {
  if (failed.empty()) return {};
  constexpr std::size_t shown = 5;
  std::string ranks;
  for (std::size_t i = 0; i < failed.size() && i < shown; ++i) {
    ranks += concat(i == 0 ? "" : ", ", failed[i]);
  }
  if (failed.size() > shown) ranks += concat(" and ", failed.size() - shown, " more");
  return concat("rank ", ranks, " of ", comm.size(), ": ",
                comm.broadcast(local_error, failed.front()));
}

enum class ErrorKind : int { none, invalid_argument, singular, io, out_of_memory, other };

struct Caught {
  ErrorKind kind = ErrorKind::none;
  std::string text;
};

Caught describe(const std::exception_ptr& caught) {
  if (!caught) return {};
  try {
    std::rethrow_exception(caught);
  } catch (const InvalidArgument& e) {
    return {ErrorKind::invalid_argument, e.what()};
  } catch (const Singular& e) {
    return {ErrorKind::singular, e.what()};
  } catch (const IoError& e) {
    return {ErrorKind::io, e.what()};
  } catch (const OutOfMemory& e) {
    return {ErrorKind::out_of_memory, e.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorKind::out_of_memory, "out of memory"};
  } catch (const std::exception& e) {
    return {ErrorKind::other, e.what()};
  }
}

}  // namespace

void collective_check(const Communicator& comm, const std::string& local_error) {
  const std::vector<int> failed = comm.ranks_where(!local_error.empty());
  const std::string text = error_on_all(comm, failed, local_error);
  require<MpiError>(failed.empty(), text);
}

void throw_on_all(const Communicator& comm, const std::exception_ptr& caught) {
  const Caught own = describe(caught);
  const std::vector<ErrorKind> kinds = comm.all_gather(own.kind);
  std::vector<int> failed;
  for (int rank = 0; rank < comm.size(); ++rank)
    if (kinds[rank] != ErrorKind::none) failed.push_back(rank);
  const std::string text = error_on_all(comm, failed, own.text);
  if (failed.empty()) return;
  switch (kinds[failed.front()]) {
    case ErrorKind::invalid_argument:
      throw InvalidArgument(text);
    case ErrorKind::singular:
      throw Singular(text);
    case ErrorKind::io:
      throw IoError(text);
    case ErrorKind::out_of_memory:
      throw OutOfMemory(text);
    default:
      throw MpiError(text);
  }
}

}  // namespace pympf
