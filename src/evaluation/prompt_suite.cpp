#include "daguerre/evaluation/prompt_suite.hpp"

#include <array>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "evaluation/text_table.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* suite_name = "prompt suite";
/// Of one JSON document, which takes many times as much memory.
constexpr std::size_t max_suite_json_bytes = std::size_t{8} << 20;
constexpr std::size_t max_prompt_bytes = std::size_t{64} << 10;
constexpr std::array hps_styles{"anime", "concept-art", "paintings", "photo"};
constexpr std::array<std::pair<const char*, SuiteFormat>, 6> suite_formats{
    {{"auto", SuiteFormat::automatic},
     {"lines", SuiteFormat::lines},
     {"csv", SuiteFormat::csv},
     {"tsv", SuiteFormat::tsv},
     {"hps", SuiteFormat::hps},
     {"jsonl", SuiteFormat::json_lines}}};

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t") == text.npos;
}

SuiteFormat format_by_extension(const std::string& extension) {
  if (same_name(extension, ".csv")) return SuiteFormat::csv;
  if (same_name(extension, ".tsv") || same_name(extension, ".tab")) return SuiteFormat::tsv;
  if (same_name(extension, ".json")) return SuiteFormat::hps;
  if (same_name(extension, ".jsonl") || same_name(extension, ".ndjson")) return SuiteFormat::json_lines;
  return SuiteFormat::lines;
}

/// Gathers prompts, and sees that there are not too many.
class SuiteBuilder {
 public:
  SuiteBuilder(std::string name, const SuiteOptions& options) : options_(options) {
    suite_.name = std::move(name);
  }

  void read(std::string_view text, const std::string& source, SuiteFormat format) {
    text = checked_text(suite_name, text, source);
    switch (format) {
      case SuiteFormat::csv:
        return read_table(text, source, TextTable::Kind::comma);
      case SuiteFormat::tsv:
        return read_table(text, source, TextTable::Kind::tab);
      case SuiteFormat::hps:
        return read_json(text, source);
      case SuiteFormat::json_lines:
        return read_json_lines(text, source);
      default:
        return read_lines(text, source);
    }
  }

  /// Texts of one style.
  void add_style(const nlohmann::json& list, const std::string& where, const std::string& style) {
    if (!list.is_array()) throw FormatError(suite_name, where + ": is no list of texts");
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto entry = where + ", entry " + std::to_string(i + 1);
      if (!list[i].is_string()) throw FormatError(suite_name, entry + ": is no text");
      add(list[i].get<std::string>(), style, entry);
    }
  }

  void read_json(std::string_view text, const std::string& source) {
    refuse_choice(source);
    const auto document = parse_suite_json(text, source);
    if (!document.is_object()) return add_style(document, source, stem_of(source));
    // Objects of the reader are sorted by name, which is the order of HPSv2's styles as well.
    for (const auto& [style, list] : document.items())
      add_style(list, source + ", " + in_quotes(style), style);
  }

  PromptSuite finish() && {
    if (suite_.prompts.empty()) throw FormatError(suite_name, suite_.name + ": holds no prompts");
    return std::move(suite_);
  }

 private:
  static std::string stem_of(const std::string& source) {
    return std::filesystem::path(source).stem().string();
  }

  static nlohmann::json parse_suite_json(std::string_view text, const std::string& source) {
    if (text.size() > max_suite_json_bytes)
      throw FormatError(suite_name, source + ": " + std::to_string(text.size()) +
                                        " bytes of JSON, expected at most " +
                                        std::to_string(max_suite_json_bytes));
    return parse_json(text, source);
  }

  void refuse_choice(const std::string& source) const {
    if (!options_.category.empty())
      throw ArgumentError(suite_name, source + ": has no columns, so none can be the category");
  }

  void add(std::string text, std::string category, const std::string& where) {
    if (suite_.prompts.size() == max_suite_prompts)
      throw FormatError(suite_name, where + ": more than " + std::to_string(max_suite_prompts) + " prompts");
    if (text.size() > max_prompt_bytes)
      throw FormatError(suite_name, where + ": a prompt of " + std::to_string(text.size()) +
                                        " bytes, expected at most " + std::to_string(max_prompt_bytes));
    suite_.prompts.push_back({std::move(text), std::move(category)});
  }

  void read_lines(std::string_view text, const std::string& source) {
    refuse_choice(source);
    std::size_t number = 0;
    while (const auto line = take_line(text, number))
      if (!is_blank(line->text)) add(std::string(line->text), {}, at_line(source, line->number));
  }

  void read_table(std::string_view text, const std::string& source, TextTable::Kind kind) {
    TextTable table(suite_name, source, text, kind);
    auto prompt = table.find("prompt");
    if (!prompt) prompt = table.find("prompts");
    if (!prompt)
      throw FormatError(suite_name, source + ": no column is called \"Prompt\" or \"Prompts\"; there are " +
                                        table.columns());
    const auto category = table.find(options_.category.empty() ? "category" : options_.category);
    if (!category && !options_.category.empty())
      throw ArgumentError(suite_name, source + ": no column is called " + in_quotes(options_.category) +
                                          "; there are " + table.columns());
    while (auto row = table.next()) {
      const auto where = at_line(source, row->line);
      if (is_blank(row->fields[*prompt])) throw FormatError(suite_name, where + ": the prompt is empty");
      add(std::move(row->fields[*prompt]), category ? std::move(row->fields[*category]) : std::string(),
          where);
    }
  }

  void read_json_lines(std::string_view text, const std::string& source) {
    std::size_t number = 0;
    bool chosen = options_.category.empty();
    while (const auto line = take_line(text, number)) {
      if (is_blank(line->text)) continue;
      const auto where = at_line(source, line->number);
      const auto value = parse_suite_json(line->text, where);
      if (value.is_string()) {
        add(value.get<std::string>(), {}, where);
        continue;
      }
      const auto text_under = [&](std::string_view key) -> std::optional<std::string> {
        for (const auto& [name, entry] : value.items()) {
          if (!same_name(name, key)) continue;
          if (!entry.is_string())
            throw FormatError(suite_name, where + ": " + in_quotes(name) + " is no text");
          return entry.get<std::string>();
        }
        return std::nullopt;
      };
      auto prompt = value.is_object() ? text_under("prompt") : std::nullopt;
      if (!prompt) throw FormatError(suite_name, where + ": expected a text, or an object with \"prompt\"");
      auto category = text_under(options_.category.empty() ? "category" : options_.category);
      if (category) chosen = true;
      if (!category && options_.category.empty()) category = text_under("tag");
      add(std::move(*prompt), category.value_or(""), where);
    }
    if (!chosen) throw ArgumentError(suite_name, source + ": no line has " + in_quotes(options_.category));
  }

  SuiteOptions options_;
  PromptSuite suite_;
};

}  // namespace

SuiteFormat suite_format_called(std::string_view name) {
  for (const auto& [known, format] : suite_formats)
    if (name == known) return format;
  throw ArgumentError(suite_name, "no format is called " + in_quotes(name) +
                                      "; there are auto, lines, csv, tsv, hps and jsonl");
}

PromptSuite PromptSuite::load(const std::filesystem::path& path, const SuiteOptions& options) {
  const bool folder = std::filesystem::is_directory(path);
  if (folder && options.format != SuiteFormat::automatic && options.format != SuiteFormat::hps)
    throw ArgumentError(suite_name, path.string() + ": is a folder, expected a file", path);
  if (!folder) return parse(read_text_file(path, max_suite_bytes), path.string(), options);
  SuiteBuilder builder(path.string(), options);
  for (const auto* style : hps_styles) {
    const auto file = path / (std::string(style) + ".json");
    if (!path_exists(file))
      throw FileError(suite_name,
                      path.string() + ": has no " + style +
                          ".json; a folder of prompts is HPSv2's benchmark: anime.json, "
                          "concept-art.json, paintings.json and photo.json",
                      path);
    builder.read(read_text_file(file, max_suite_bytes), file.string(), SuiteFormat::hps);
  }
  return std::move(builder).finish();
}

PromptSuite PromptSuite::parse(std::string_view text, std::string name, const SuiteOptions& options) {
  if (text.size() > max_suite_bytes)
    throw FormatError(suite_name, name + ": " + std::to_string(text.size()) + " bytes, expected at most " +
                                      std::to_string(max_suite_bytes));
  auto format = options.format;
  if (format == SuiteFormat::automatic)
    format = format_by_extension(std::filesystem::path(name).extension().string());
  SuiteBuilder builder(name, options);
  builder.read(text, name, format);
  return std::move(builder).finish();
}

std::vector<std::string> PromptSuite::categories() const {
  std::vector<std::string> result;
  std::set<std::string_view> seen;
  for (const auto& prompt : prompts)
    if (!prompt.category.empty() && seen.insert(prompt.category).second) result.push_back(prompt.category);
  return result;
}

std::vector<std::string> PromptSuite::texts() const {
  std::vector<std::string> result;
  for (const auto& prompt : prompts) result.push_back(prompt.text);
  return result;
}

}  // namespace daguerre::evaluation
