#include "options.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <utility>

#include "errors.hpp"
#include "pympf/common/words.hpp"

namespace pympf {
namespace {

template <class P>
Field<PcMmf> of_plugin(const Field<P>& f, P PcMmf::*part) {
  return {f.name,
          f.kind,
          f.minimum,
          f.maximum,
          f.choices,
          f.doc,
          [&f, part](const PcMmf& p) { return f.get(p.*part); },
          [&f, part](PcMmf& p, double value) { f.assign(p.*part, value); }};
}

// The methods of the multilevel preconditioner, and one more.
Field<PcMmf> method_field() {
  const auto& f = find_field(precond::fields(), "method");
  Field<PcMmf> out = of_plugin(f, &PcMmf::multilevel);
  const double classic = ++out.maximum;
  out.choices.push_back("classic");
  out.doc += " classic: |F|^-1 of the multiresolution factorization F.";
  out.get = [&f, classic](const PcMmf& p) { return p.classic ? classic : f.get(p.multilevel); };
  out.assign = [&f, classic](PcMmf& p, double value) {
    p.classic = value == classic;
    if (!p.classic) f.assign(p.multilevel, value);
  };
  return out;
}

// Both kinds of methods have it.
Field<PcMmf> rows_per_rank_field() {
  Field<PcMmf> out = of_plugin(find_field(precond::fields(), "rows_per_rank"), &PcMmf::multilevel);
  const auto& classic = find_field(mmf::fields(), "rows_per_rank");
  out.assign = [&classic, assign = out.assign](PcMmf& p, double value) {
    assign(p, value);
    classic.assign(p.factorization, value);
  };
  return out;
}

std::vector<Field<PcMmf>> common_options() {
  return {method_field(),
          field("reuse_rotations", &PcMmf::reuse_rotations, 0, 1,
                "When only the values of the matrix changed, keep the rotations (with the clusters "
                "and the scaling functions) and project the new values on them: quicker, and as "
                "good while the values change by a factor or by little."),
          rows_per_rank_field()};
}

template <class P>
std::vector<Field<PcMmf>> options_of(const std::vector<Field<P>>& fields, P PcMmf::*part) {
  std::vector<Field<PcMmf>> list;
  for (const auto& f : fields)
    if (f.name != "method" && f.name != "rows_per_rank") list.push_back(of_plugin(f, part));
  return list;
}

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

// An option that has no effect with this method is refused too.
void check_name(const std::string& name, bool classic) {
  std::vector<std::string> known;
  for (const auto& f : options().all()) known.push_back(f.name);
  const std::string near = nearest(name, known);  // itself, if it is one
  require(near.empty() || near == name, "unknown parameter ", name, "; did you mean ", near, "?");
  find_field(options().all(), name);
  const auto& others = options().of(!classic);
  const bool is_other = std::any_of(others.begin(), others.end(),
                                    [&](const Field<PcMmf>& f) { return f.name == name; });
  require(!is_other, name, classic ? " is not" : " is",
          " a parameter of method = classic; the method is ",
          classic ? "classic" : "another: give -pc_mmf_method classic too");
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
    if (word.rfind(start, 0) == 0) check_name(word.substr(start.size()), data(pc).classic);
  PetscFunctionReturn(PetscErrorCode(0));
}

// All but reuse_rotations, which changes the next setup only.
std::vector<double> values_of(const PcMmf& mmf) {
  std::vector<double> values;
  for (const auto& option : options().all())
    if (option.name != "reuse_rotations") values.push_back(option.get(mmf));
  return values;
}

PetscErrorCode read_options(PC pc, OptionItems PetscOptionsObject) {
  PcMmf& mmf = data(pc);
  const std::vector<double> before = values_of(mmf);

  PetscFunctionBegin;
  PetscOptionsHeadBegin(PetscOptionsObject, "MMF options");
  for (const auto& option : options().all()) PetscCall(read_option(pc, PetscOptionsObject, option));
  PetscOptionsHeadEnd();
  PetscCall(refuse_unknown_options(pc));
  precond::check(mmf.multilevel);
  mmf::check(mmf.factorization);
  if (values_of(mmf) != before) {  // the next solve sets up anew, with the new parameters
    mmf.built = Nothing();
    pc->setupcalled = PETSC_FALSE;
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace

std::vector<Field<PcMmf>> Options::all() const {
  std::vector<Field<PcMmf>> list = common;
  for (const auto* part : {&multilevel, &classic})
    list.insert(list.end(), part->begin(), part->end());
  return list;
}

const Options& options() {
  static const Options list{common_options(), options_of(precond::fields(), &PcMmf::multilevel),
                            options_of(mmf::fields(), &PcMmf::factorization)};
  return list;
}

PetscErrorCode PCSetFromOptions_MMF(PC pc, OptionItems PetscOptionsObject) {
  PetscFunctionBegin;
  PetscCall(guarded(pc, [&] { return read_options(pc, PetscOptionsObject); }));
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace pympf
