#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace daguerre::text {

struct CompelSwap;

/// A run of words of one weight, or one that is to be swapped for another.
struct CompelFragment {
  std::string text;
  double weight = 1.0;
  std::shared_ptr<const CompelSwap> swap{};  ///< in the place of text and weight
};

/// `(a).swap(b, options)`: cross-attention control.
struct CompelSwap {
  std::vector<CompelFragment> original, edited;
  std::map<std::string, double> options;  ///< "s_start", "s_end", "t_start", "t_end" and what else is given
};

/// One of the prompts that `.and()` joins: fragments, or several of them that are mixed by `.blend()`.
struct CompelPart {
  double weight = 1.0;
  bool blends = false;
  bool normalize = true;                             ///< a blend's weights, to a sum of 1
  std::vector<std::vector<CompelFragment>> prompts;  ///< one, unless it is a blend
  std::vector<double> weights;                       ///< a blend's, one for each
};

struct CompelPrompt {
  std::vector<CompelPart> parts;
  std::vector<std::pair<std::string, double>> loras;  ///< of `withLora(name, weight)`
};

/// compel's language, as version 2 reads it (`Compel.parse_prompt_string`): `word++`, `(some words)1.3`,
/// `"quoted"-`, `.and()`, `.blend()`, `.swap()`. Throws ArgumentError where it raises: a blend with other
/// text behind it, as many weights as there are not prompts, a weight that is no number; and for brackets
/// nested deeper than 100.
CompelPrompt parse_compel(std::string_view prompt);

}  // namespace daguerre::text
