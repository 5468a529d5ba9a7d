#include "text/unigram_files.hpp"

#include <optional>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/base64.hpp"
#include "text/text_steps.hpp"
#include "text/tokenizer_config.hpp"

namespace daguerre::text {
namespace {

using nlohmann::json;

// umT5's, of 256,300 pieces, is 17 MB.
constexpr std::size_t max_json_bytes = std::size_t{32} << 20;

[[noreturn]] void refuse_t5_step(const json& step, const char* what, const std::string& source) {
  throw ConfigError("tokenizer", source + ": " + what + " " + to_text(step).substr(0, 200) +
                                     " is not supported: T5's have Precompiled, Strip, Replace, "
                                     "WhitespaceSplit, Metaspace");
}

void read_json_normalizer(const json& root, const std::string& source, SentencePieceNormalizer& normalizer) {
  for_each_step(root.value("normalizer", json()), "normalizers", source, [&](const json& step) {
    const auto type = step_type(step);
    if (type == "Precompiled" && step.contains("precompiled_charsmap")) {
      const json& text = step["precompiled_charsmap"];
      const auto blob = text.is_string() ? decode_base64(text.get_ref<const std::string&>()) : std::nullopt;
      if (!text.is_null() && !blob) malformed(source, "\"precompiled_charsmap\" is not base64");
      normalizer.charsmap = Charsmap(blob.value_or(""), source);
    } else if (type == "Replace") {
      // Runs of spaces become one.
      if (step.value("pattern", json()) != json{{"Regex", " {2,}"}})
        refuse_t5_step(step, "normalizer", source);
      const json content = step.value("content", json());
      if (content != metaspace && content != " ") refuse_t5_step(step, "normalizer", source);
    } else if (type == "Strip") {
      if (step.value("strip_right", json()) != true) refuse_t5_step(step, "normalizer", source);
    } else {
      refuse_t5_step(step, "normalizer", source);
    }
  });
}

void read_json_pre_tokenizer(const json& root, const std::string& source, UnigramJson& result) {
  for_each_step(root.value("pre_tokenizer", json()), "pretokenizers", source, [&](const json& step) {
    const auto type = step_type(step);
    if (type == "WhitespaceSplit") {
      result.options.any_whitespace = true;
    } else if (type == "Metaspace") {
      const json scheme = step.value("prepend_scheme", json("always"));
      const bool prefix = scheme != "never" && step.value("add_prefix_space", json(true)) != false;
      if (step.value("replacement", json()) != metaspace ||
          (scheme != "always" && scheme != "first" && scheme != "never"))
        refuse_t5_step(step, "pre_tokenizer", source);
      result.options.prefix = prefix;
      result.prefix_each = scheme == "always";
    } else {
      refuse_t5_step(step, "pre_tokenizer", source);
    }
  });
}

SentencePiece read_json_piece(const json& entry, const std::string& source) {
  if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
    malformed(source, "an entry of \"vocab\" is not a piece and its score");
  return {entry[0].get<std::string>(), entry[1].get<float>(), PieceKind::normal};
}

void read_json_model(const json& model, const std::string& source, SentencePieceFile& file) {
  file.byte_fallback = model.value("byte_fallback", json()) == true;
  if (!model.contains("vocab") || !model["vocab"].is_array() || model["vocab"].size() > max_tokens)
    malformed(source, "\"vocab\" is not a list of at most " + std::to_string(max_tokens) + " pieces");
  for (const auto& entry : model["vocab"]) file.pieces.push_back(read_json_piece(entry, source));
  const json unknown = model.value("unk_id", json());
  if (!unknown.is_number_unsigned() || unknown.get<std::uint64_t>() >= file.pieces.size())
    malformed(source, "\"unk_id\" is " + to_text(unknown).substr(0, 100) + ", of " +
                          std::to_string(file.pieces.size()) + " pieces");
  file.pieces[unknown.get<std::size_t>()].kind = PieceKind::unknown;
  if (!file.byte_fallback) return;
  for (auto& piece : file.pieces)
    if (byte_of_piece(piece.text)) piece.kind = PieceKind::byte;
}

void read_json_added(const json& root, const std::string& source, UnigramJson& result) {
  const json tokens = root.value("added_tokens", json::array());
  if (!tokens.is_array()) malformed(source, "\"added_tokens\" is not a list");
  auto& pieces = result.file.pieces;
  for (const auto& token : tokens) {
    const auto content = token.is_object() ? token_content(token, "content", source) : std::nullopt;
    if (!content) malformed(source, "an added token has no \"content\"");
    const auto id = checked_id(token.value("id", json()), *content, source);
    result.added.push_back({*content, id, false});
    if (static_cast<std::size_t>(id) >= pieces.size()) continue;
    auto& piece = pieces[static_cast<std::size_t>(id)];
    if (piece.text != *content)
      malformed(source, "added token " + in_quotes(*content) + " has the id " + std::to_string(id) +
                            ", which is the piece " + in_quotes(piece.text));
    if (piece.kind == PieceKind::normal)
      piece.kind = token.value("special", json()) == true ? PieceKind::control : PieceKind::user_defined;
  }
}

}  // namespace

bool is_unigram_json(const std::filesystem::path& path) {
  if (!is_file(path)) return false;
  return read_text_file(path, max_json_bytes).find("\"Unigram\"") != std::string::npos;
}

UnigramJson read_unigram_json(const std::filesystem::path& path) {
  const std::string source = path.string();
  const json root = parse_json(read_text_file(path, max_json_bytes), source);
  if (!root.is_object() || !root.contains("model") || !root["model"].is_object())
    malformed(source, "expected an object with a \"model\"");
  const json& model = root["model"];
  if (step_type(model) != "Unigram")
    throw ConfigError("tokenizer", source + ": the model's \"type\" is " + in_quotes(step_type(model)) +
                                       ", supported is \"Unigram\"");
  UnigramJson result;
  read_json_model(model, source, result.file);
  read_json_normalizer(root, source, result.file.normalizer);
  read_json_pre_tokenizer(root, source, result);
  read_json_added(root, source, result);
  return result;
}

}  // namespace daguerre::text
