#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/text/unicode.hpp"
#include "text/split_pattern.hpp"

/// The steps of tokenizer.json that make a text ready for its model, by the names they have there.
namespace daguerre::text {

/// What a text becomes before it is cut.
class NormalizerStep {
 public:
  virtual ~NormalizerStep() = default;
  virtual Chars run(Chars text) const = 0;
};
/// Immutable.
class TextNormalizer {
 public:
  TextNormalizer() = default;
  /// From `normalizer`: NFC, Lowercase, Prepend, Replace, Strip, and a Sequence of these. Throws ConfigError
  /// naming the source and the step for another one; FormatError for one that is none.
  TextNormalizer(const nlohmann::json& json, const std::string& source);
  /// Normal form C and nothing else.
  static TextNormalizer nfc();
  /// Throws ConfigError where the text grows beyond `most_grown`.
  Chars run(Chars text) const;

 private:
  std::string source_;
  std::vector<std::shared_ptr<const NormalizerStep>> steps_;
};

/// A text and where it is cut. The parts lie one behind the other; there may be gaps between them.
struct TextParts {
  using Part = std::pair<std::size_t, std::size_t>;  ///< where it begins and ends
  Chars text;
  std::vector<Part> parts;
};

class PreTokenizerStep {
 public:
  virtual ~PreTokenizerStep() = default;
  /// `first`: the text begins the whole one that was given.
  virtual void run(TextParts& parts, bool first) const = 0;
};
/// Immutable.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  /// From `pre_tokenizer`: ByteLevel, Digits, Metaspace, Punctuation, Split, Whitespace, WhitespaceSplit, and
  /// a Sequence of these. Throws as TextNormalizer does.
  PreTokenizer(const nlohmann::json& json, const std::string& source);
  /// A Split by each of the patterns, then bytes as GPT-2 writes them.
  PreTokenizer(const std::vector<std::string_view>& patterns, const std::string& source);

  /// Throws ConfigError where the text grows beyond `most_grown`.
  TextParts run(Chars text, bool first) const;
  /// Whether bytes are written as GPT-2's characters.
  bool is_byte_level() const noexcept { return byte_level_; }

 private:
  std::string source_;
  std::vector<std::shared_ptr<const PreTokenizerStep>> steps_;
  bool byte_level_ = false;
};

/// GPT-2's pattern, which ByteLevel has inside.
extern const std::string_view gpt2_pattern;

// Steps that each make a text longer could fill any memory.
/// The most steps of a kind, and the most bytes that one may put in the place of others.
inline constexpr std::size_t most_text_steps = 64, longest_content = 256;
/// What a text of that many characters or bytes may become. Published steps make at most four of one.
inline constexpr std::size_t most_grown(std::size_t size) {
  return 16 * size + 4096;
}
[[noreturn]] void refuse_steps(const char* what, const std::string& source);
[[noreturn]] void refuse_growth(const char* what, const std::string& source);

/// "type" of a step; "" where there is none.
std::string step_type(const nlohmann::json& step);
/// The step itself or, of a Sequence, each of its own, in order: of(step). `list` is the Sequence's key.
/// Throws FormatError for what is no step.
template <class Of>
void for_each_step(const nlohmann::json& step, const char* list, const std::string& source, const Of& of);
[[noreturn]] void refuse_step(const nlohmann::json& step, const char* what, const std::string& source,
                              const std::string& problem = "");

template <class Of>
void for_each_step(const nlohmann::json& step, const char* list, const std::string& source, const Of& of) {
  if (step.is_null()) return;
  if (step_type(step) != "Sequence") {
    of(step);
    return;
  }
  if (!step.contains(list) || !step[list].is_array()) refuse_step(step, list, source, "has no list of steps");
  for (const auto& each : step[list]) for_each_step(each, list, source, of);
}

}  // namespace daguerre::text
