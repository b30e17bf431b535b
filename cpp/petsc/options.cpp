#include "options.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <utility>

#include "errors.hpp"
#include "pympf/common/words.hpp"

namespace pympf {
namespace {

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
  if (option.name == "definite") data(pc).chose_definite = true;
  const auto set = [&] {
    option.set(data(pc), option.kind == Kind::boolean ? logical(text) : std::string(text));
    return PetscErrorCode(0);
  };
  PetscCall(guarded(pc, set, is_number ? PETSC_ERR_ARG_OUTOFRANGE : PETSC_ERR_ARG_WRONG));
  PetscFunctionReturn(PetscErrorCode(0));
}

// An option that has no effect with this method is refused too.
void check_name(const std::string& name, const precond::Params& params) {
  std::vector<std::string> known;
  for (const auto& f : options()) known.push_back(f.name);
  const std::string near = nearest(name, known);  // itself, if it is one
  require(near.empty() || near == name, "unknown parameter ", name, "; did you mean ", near, "?");
  find_field(options(), name);
  for (const auto& f : precond::fields())
    if (f.name == name) precond::require_taken(params, f);
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
    if (word.rfind(start, 0) == 0) check_name(word.substr(start.size()), data(pc).params);
  PetscFunctionReturn(PetscErrorCode(0));
}

// All but reuse_rotations, which changes the next setup only.
std::vector<double> values_of(const PcMmf& mmf) {
  std::vector<double> values;
  for (const auto& option : options())
    if (option.name != "reuse_rotations") values.push_back(option.get(mmf));
  return values;
}

PetscErrorCode read_options(PC pc, OptionItems PetscOptionsObject) {
  PcMmf& mmf = data(pc);
  const std::vector<double> before = values_of(mmf);

  PetscFunctionBegin;
  PetscOptionsHeadBegin(PetscOptionsObject, "MMF options");
  for (const auto& option : options()) PetscCall(read_option(pc, PetscOptionsObject, option));
  PetscOptionsHeadEnd();
  PetscCall(refuse_unknown_options(pc));
  precond::check(mmf.params);
  if (values_of(mmf) != before) {  // the next solve sets up anew, with the new parameters
    mmf.built = Nothing();
    pc->setupcalled = PETSC_FALSE;
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace

const std::vector<Field<PcMmf>>& options() {
  static const std::vector<Field<PcMmf>> list = [] {
    std::vector<Field<PcMmf>> out = {
        field("reuse_rotations", &PcMmf::reuse_rotations, 0, 1,
              "When only the values of the matrix changed, keep the rotations (with the clusters "
              "and the scaling functions) and project the new values on them: quicker, and as "
              "good while the values change by a factor or by little.")};
    for (const auto& f : precond::fields()) out.push_back(field_of_part(f, &PcMmf::params));
    return out;
  }();
  return list;
}

PetscErrorCode PCSetFromOptions_MMF(PC pc, OptionItems PetscOptionsObject) {
  PetscFunctionBegin;
  PetscCall(guarded(pc, [&] { return read_options(pc, PetscOptionsObject); }));
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace pympf
