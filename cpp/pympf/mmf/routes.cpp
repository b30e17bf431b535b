#include "pympf/mmf/routes.hpp"

#include <algorithm>
#include <numeric>

namespace pympf::mmf {
namespace {

std::vector<Global> own_numbers(const Layout& layout) {
  std::vector<Global> out(layout.own());
  std::iota(out.begin(), out.end(), layout.first());
  return out;
}

// `count` numbers below `total`, on every rank.
void check_range(const Communicator& comm, const std::vector<Global>& numbers, Index count,
                 Global total, const char* what) {
  collectively(comm, [&] {
    require(static_cast<Index>(numbers.size()) == count, what, " has ", numbers.size(),
            " entries, expected ", count);
    for (Global i : numbers)
      require(i >= 0 && i < total, what, " holds ", i, ", expected 0 to ", total - 1);
  });
}

// The exchange to these places of `to`, each of which must be hit once.
Exchange permutation(const Communicator& comm, const Layout& to, const std::vector<Global>& targets,
                     const char* what) {
  Exchange out = Exchange::moves(comm, to, targets);
  const std::vector<Index> sent(targets.size(), 1);
  std::vector<Index> hit(to.own(), 0);
  ExchangeSpace<Index> space;
  out.forward(sent.data(), hit.data(), 1, space);
  collectively(comm, [&] {
    require(std::find(hit.begin(), hit.end(), 0) == hit.end(), what, " is not a permutation");
  });
  return out;
}

bool everywhere(const Communicator& comm, bool here) { return comm.min(Global{here}) == 1; }

// Numbers of rows that `layout` gives to this rank, counted from its first one.
std::vector<Index> local(const Layout& layout, const std::vector<Global>& numbers) {
  std::vector<Index> out;
  out.reserve(numbers.size());
  for (Global i : numbers) out.push_back(static_cast<Index>(i - layout.first()));
  return out;
}

bool all_owned(const Layout& layout, const std::vector<Global>& numbers) {
  return static_cast<Index>(numbers.size()) == layout.own() &&
         std::all_of(numbers.begin(), numbers.end(), [&](Global i) { return layout.owns(i); });
}

// Rows of A to their positions in stage 1, or in the core.
template <class T>
void set_order(Hierarchy<T>& Q, const Layout& to, const std::vector<Global>& order) {
  check_range(Q.comm, order, to.own(), Q.layout.total(), "order");
  if (Q.levels() > 0 && everywhere(Q.comm, all_owned(Q.layout, order))) {
    Q.order = local(Q.layout, order);
    return;
  }
  if (everywhere(Q.comm, order == own_numbers(Q.layout))) return;
  const auto positions = own_numbers(to);
  std::vector<Global> targets(Q.rows);
  ExchangeSpace<Global> space;
  permutation(Q.comm, Q.layout, order, "order").forward(positions.data(), targets.data(), 1, space);
  Q.moves[0] = Exchange::moves(Q.comm, to, targets);
}

// The active columns after `level` stages to their positions in the next one, or in the core.
template <class T>
void set_destination(Hierarchy<T>& Q, int level, const Layout& to,
                     const std::vector<Global>& targets) {
  Stage<T>& stage = Q.stages[level - 1];
  check_range(Q.comm, targets, stage.kept, to.total(), "destination");
  const bool stays = level == Q.levels() ? targets == own_numbers(to) : all_owned(to, targets);
  if (everywhere(Q.comm, stays)) {
    stage.destination = local(to, targets);
    return;
  }
  Q.moves[level] = permutation(Q.comm, to, targets, "destination");
  stage.destination.resize(stage.kept);
  std::iota(stage.destination.begin(), stage.destination.end(), 0);
}

}  // namespace

template <class T>
Routes routes_of(const Hierarchy<T>& Q) {
  Routes out;
  ExchangeSpace<Global> space;
  if (const Exchange* move = Q.move(0)) {
    const auto rows = own_numbers(Q.layout);
    out.order.resize(Q.entering(0));
    move->forward(rows.data(), out.order.data(), 1, space);
  } else {
    for (Index row : Q.order) out.order.push_back(Q.layout.first() + row);
  }
  for (int level = 1; level <= Q.levels(); ++level) {
    const Stage<T>& stage = Q.stages[level - 1];
    const Layout to(Q.comm, Q.entering(level));
    auto& targets = out.destination.emplace_back(stage.kept);
    if (const Exchange* move = Q.move(level))
      move->backward(own_numbers(to).data(), targets.data(), 1, space);
    else
      for (Index i = 0; i < stage.kept; ++i) targets[i] = to.first() + stage.destination[i];
  }
  return out;
}

template <class T>
void set_routes(Hierarchy<T>& Q, const Routes& routes) {
  const auto levels = static_cast<std::size_t>(Q.levels());
  require(routes.destination.size() == levels, "there are destinations for ",
          routes.destination.size(), " stages, expected ", levels);
  Q.layout = Layout(Q.comm, Q.rows);
  Global columns = Q.layout.total();
  for (int level = 0; level <= Q.levels(); ++level) {
    const Layout to(Q.comm, Q.entering(level));
    require(to.total() == columns, level == Q.levels() ? "the core" : "a stage", " has ",
            to.total(), " rows, expected ", columns);
    if (level == 0)
      set_order(Q, to, levels == 0 && routes.order.empty() ? own_numbers(to) : routes.order);
    else
      set_destination(Q, level, to, routes.destination[level - 1]);
    if (level < Q.levels()) columns = Q.comm.sum(Global{Q.stages[level].kept});
  }
  check(Q);
}

#define PYMPF_INSTANTIATE(T)                      \
  template Routes routes_of(const Hierarchy<T>&); \
  template void set_routes(Hierarchy<T>&, const Routes&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf::mmf
