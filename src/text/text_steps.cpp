#include "text/text_steps.hpp"

#include "config/json.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/finder.hpp"
#include "text/vocabulary_files.hpp"

namespace daguerre::text {
namespace {

using nlohmann::json;

bool flag_of(const json& step, const char* key, bool fallback) {
  return step.contains(key) && step[key].is_boolean() ? step[key].get<bool>() : fallback;
}

Chars text_of_step(const json& step, const char* key, const char* what, const std::string& source) {
  if (!step.contains(key) || !step[key].is_string())
    refuse_step(step, what, source, std::string("has no text \"") + key + '"');
  if (step[key].get_ref<const std::string&>().size() > longest_content)
    refuse_step(
        step, what, source,
        std::string("has a \"") + key + "\" of more than " + std::to_string(longest_content) + " bytes");
  return decode_utf8(step[key].get_ref<const std::string&>());
}

class NfcStep final : public NormalizerStep {
 public:
  Chars run(Chars text) const override { return text::nfc(text); }
};

class LowercaseStep final : public NormalizerStep {
 public:
  Chars run(Chars text) const override { return lower(text, FinalSigma::ignore); }
};

class StripStep final : public NormalizerStep {
 public:
  StripStep(bool left, bool right) : left_(left), right_(right) {}
  Chars run(Chars text) const override {
    std::size_t begin = 0, end = text.size();
    while (right_ && end > 0 && is_space(text[end - 1].code)) --end;
    while (left_ && begin < end && is_space(text[begin].code)) ++begin;
    return {text.begin() + static_cast<std::ptrdiff_t>(begin),
            text.begin() + static_cast<std::ptrdiff_t>(end)};
  }

 private:
  bool left_, right_;
};

/// Something before a text that is not empty.
class PrependStep final : public NormalizerStep {
 public:
  explicit PrependStep(Chars what) : what_(std::move(what)) {}
  Chars run(Chars text) const override {
    if (!text.empty()) text.insert(text.begin(), what_.begin(), what_.end());
    return text;
  }

 private:
  Chars what_;
};

class ReplaceStep final : public NormalizerStep {
 public:
  ReplaceStep(Finder finder, Chars content) : finder_(std::move(finder)), content_(std::move(content)) {}
  Chars run(Chars text) const override {
    Chars result;
    Finder::Run run(finder_);
    run.over(
        text,
        [&](std::size_t begin, std::size_t end) {
          result.insert(result.end(), text.begin() + static_cast<std::ptrdiff_t>(begin),
                        text.begin() + static_cast<std::ptrdiff_t>(end));
        },
        [&](std::size_t, std::size_t) { result.insert(result.end(), content_.begin(), content_.end()); });
    return result;
  }

 private:
  Finder finder_;
  Chars content_;
};

std::shared_ptr<const NormalizerStep> normalizer_step(const json& step, const std::string& source) {
  constexpr const char* what = "normalizer";
  const auto type = step_type(step);
  if (type == "NFC") return std::make_shared<NfcStep>();
  if (type == "Lowercase") return std::make_shared<LowercaseStep>();
  if (type == "Strip")
    return std::make_shared<StripStep>(flag_of(step, "strip_left", true), flag_of(step, "strip_right", true));
  if (type == "Prepend") return std::make_shared<PrependStep>(text_of_step(step, "prepend", what, source));
  if (type == "Replace")
    return std::make_shared<ReplaceStep>(Finder(step, what, source),
                                         text_of_step(step, "content", what, source));
  refuse_step(step, what, source);
}

}  // namespace

Finder::Finder(const json& step, const char* what, const std::string& source) {
  const json pattern = step.value("pattern", json());
  if (pattern.is_object() && pattern.contains("Regex") && pattern["Regex"].is_string())
    pattern_ = std::make_shared<SplitPattern>(pattern["Regex"].get_ref<const std::string&>(), source);
  else if (pattern.is_object() && pattern.contains("String") && pattern["String"].is_string())
    literal_ = decode_utf8(pattern["String"].get_ref<const std::string&>());
  else
    refuse_step(step, what, source, "has no pattern \"String\" or \"Regex\"");
}

std::string step_type(const json& step) {
  return step.is_object() && step.contains("type") && step["type"].is_string()
             ? step["type"].get<std::string>()
             : std::string();
}

void refuse_step(const json& step, const char* what, const std::string& source, const std::string& problem) {
  const std::string shown = std::string(what) + " " + to_text(step).substr(0, 200) + " ";
  if (step_type(step).empty()) malformed(source, shown + "has no \"type\"");
  if (!problem.empty()) malformed(source, shown + problem);
  throw ConfigError("tokenizer", source + ": " + shown + "is not supported");
}

void refuse_steps(const char* what, const std::string& source) {
  malformed(source,
            std::string("its ") + what + " has more than " + std::to_string(most_text_steps) + " steps");
}

void refuse_growth(const char* what, const std::string& source) {
  throw ConfigError("tokenizer", source + ": its " + what + " makes a text many times as long");
}

TextNormalizer::TextNormalizer(const json& step, const std::string& source) : source_(source) {
  for_each_step(step, "normalizers", source, [&](const json& each) {
    if (steps_.size() == most_text_steps) refuse_steps("normalizer", source);
    steps_.push_back(normalizer_step(each, source));
  });
}

TextNormalizer TextNormalizer::nfc() {
  TextNormalizer result;
  result.steps_.push_back(std::make_shared<NfcStep>());
  return result;
}

Chars TextNormalizer::run(Chars text) const {
  const std::size_t most = most_grown(text.size());
  for (const auto& step : steps_) {
    text = step->run(std::move(text));
    if (text.size() > most) refuse_growth("normalizer", source_);
  }
  return text;
}

}  // namespace daguerre::text
