// What was meant by a misspelt word.
#pragma once

#include <string>
#include <vector>

namespace pympf {

// The known word with the fewest letters to change, put in or leave out; empty where these are more
// than a third of the word.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

}  // namespace pympf
