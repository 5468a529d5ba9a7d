#include <array>
#include <span>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "core/files.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/votes.hpp"
#include "evaluation/text_table.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* votes_file_name = "votes";
constexpr std::size_t max_key_bytes = std::size_t{16} << 20;
constexpr std::size_t max_name_bytes = 1000;
constexpr std::array vote_columns{"item", "rater", "question", "left", "right", "choice"};
enum VoteColumn { item_column, rater_column, question_column, left_column, right_column, choice_column };

/// A vote's fields, as far as the file has them.
using VoteFields = std::array<std::optional<std::string>, vote_columns.size()>;

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

/// Throws FormatError for control characters, which could steer a terminal that figures are shown on.
void refuse_control_characters(const std::string& text, const std::string& what) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool is_c1 = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || is_c1)
      throw FormatError(votes_file_name, what + " has control characters in it");
  }
}

Choice choice_called(const std::string& text, const std::string& where) {
  for (const auto* name : {"a", "left"})
    if (same_name(text, name)) return Choice::left;
  for (const auto* name : {"b", "right"})
    if (same_name(text, name)) return Choice::right;
  if (same_name(text, "tie")) return Choice::tie;
  throw FormatError(votes_file_name, where + ": the choice is " + in_quotes(text) + ", expected a, b or tie");
}

Vote vote_of(VoteFields fields, const std::string& where, const BlindKey* key) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    auto& field = fields[i];
    if (!field) continue;
    field = trimmed(*field);
    refuse_control_characters(*field, where + ": " + vote_columns[i]);
    if (field->size() > max_name_bytes)
      throw FormatError(votes_file_name, where + ": a field of " + std::to_string(field->size()) +
                                             " bytes, expected at most " + std::to_string(max_name_bytes));
  }
  const auto required = [&](VoteColumn column) {
    if (!fields[column] || fields[column]->empty())
      throw FormatError(votes_file_name, where + ": " + vote_columns[column] + " is missing");
    return *fields[column];
  };
  Vote vote;
  vote.item = required(item_column);
  vote.rater = fields[rater_column].value_or("");
  vote.question = fields[question_column].value_or("");
  vote.choice = choice_called(required(choice_column), where);
  if (key == nullptr) {
    vote.left = required(left_column);
    vote.right = required(right_column);
  } else {
    const auto found = key->a_is_left.find(vote.item);
    if (found == key->a_is_left.end())
      throw FormatError(votes_file_name, where + ": the key has no item " + in_quotes(vote.item));
    vote.left = found->second ? key->a : key->b;
    vote.right = found->second ? key->b : key->a;
    for (const auto& [column, model] :
         {std::pair(left_column, &vote.left), std::pair(right_column, &vote.right)})
      if (fields[column] && !fields[column]->empty() && *fields[column] != *model)
        throw FormatError(votes_file_name, where + ": " + vote_columns[column] + " is " +
                                               in_quotes(*fields[column]) + ", by the key it is " +
                                               in_quotes(*model));
  }
  if (vote.left == vote.right)
    throw FormatError(votes_file_name, where + ": " + in_quotes(vote.left) + " is compared with itself");
  return vote;
}

std::vector<Vote> parse_vote_table(std::string_view text, const std::string& name, const BlindKey* key) {
  TextTable table(votes_file_name, name, text, TextTable::Kind::comma);
  std::array<std::optional<std::size_t>, vote_columns.size()> places;
  for (std::size_t i = 0; i < places.size(); ++i) {
    places[i] = table.find(vote_columns[i]);
    const bool needed =
        i == item_column || i == choice_column || (key == nullptr && (i == left_column || i == right_column));
    if (!places[i] && needed)
      throw FormatError(votes_file_name, name + ": no column is called \"" + vote_columns[i] +
                                             "\"; there are " + table.columns());
  }
  std::vector<Vote> votes;
  while (auto row = table.next()) {
    VoteFields fields;
    for (std::size_t i = 0; i < places.size(); ++i)
      if (places[i]) fields[i] = std::move(row->fields[*places[i]]);
    votes.push_back(vote_of(std::move(fields), at_line(name, row->line), key));
  }
  return votes;
}

std::vector<Vote> parse_vote_lines(std::string_view text, const std::string& name, const BlindKey* key) {
  std::vector<Vote> votes;
  std::size_t number = 0;
  while (const auto line = take_line(text, number)) {
    if (trimmed(std::string(line->text)).empty()) continue;
    const auto where = at_line(name, line->number);
    if (line->text.size() > 100 * max_name_bytes)
      throw FormatError(votes_file_name, where + ": " + std::to_string(line->text.size()) + " bytes long");
    const auto value = parse_json(line->text, where);
    if (!value.is_object()) throw FormatError(votes_file_name, where + ": expected an object");
    VoteFields fields;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const auto found = value.find(vote_columns[i]);
      if (found == value.end() || found->is_null()) continue;
      if (!found->is_string() && !found->is_number_integer())
        throw FormatError(votes_file_name, where + ": " + vote_columns[i] + " is no text");
      fields[i] = found->is_string() ? found->get<std::string>() : found->dump();
    }
    votes.push_back(vote_of(std::move(fields), where, key));
  }
  return votes;
}

}  // namespace

std::vector<Vote> parse_votes(std::string_view text, const std::string& name, const BlindKey* key) {
  text = checked_text(votes_file_name, text, name);
  const auto extension = std::filesystem::path(name).extension().string();
  const bool lines = same_name(extension, ".jsonl") || same_name(extension, ".ndjson");
  auto votes = lines ? parse_vote_lines(text, name, key) : parse_vote_table(text, name, key);
  if (votes.empty()) throw FormatError(votes_file_name, name + ": holds no votes");
  return votes;
}

std::vector<Vote> read_votes(const std::filesystem::path& path, const BlindKey* key) {
  return parse_votes(read_text_file(path, max_votes_bytes), path.string(), key);
}

BlindKey BlindKey::load(const std::filesystem::path& path) {
  const auto source = path.string();
  const auto document = parse_json(read_text_file(path, max_key_bytes), source);
  const auto wrong = [&](const std::string& what) {
    return FormatError("blind key", source + ": " + what, path);
  };
  if (!document.is_object() || !document.contains("a") || !document.contains("b") ||
      !document.contains("left") || !document["a"].is_string() || !document["b"].is_string() ||
      !document["left"].is_object())
    throw wrong("is no key of a blind set: expected texts \"a\" and \"b\", and an object \"left\"");
  BlindKey key;
  key.a = document["a"].get<std::string>();
  key.b = document["b"].get<std::string>();
  for (const auto* name : {&key.a, &key.b})
    refuse_control_characters(*name, source + ": the name of a model");
  if (key.a.empty() || key.a == key.b) throw wrong("the two models have one name");
  for (const auto& [item, side] : document["left"].items()) {
    if (side != "a" && side != "b") throw wrong("left of " + in_quotes(item) + " is neither \"a\" nor \"b\"");
    key.a_is_left[item] = side == "a";
  }
  return key;
}

void BlindKey::save(const std::filesystem::path& path) const {
  nlohmann::ordered_json document{{"a", a}, {"b", b}, {"left", nlohmann::ordered_json::object()}};
  for (const auto& [item, left] : a_is_left) document["left"][item] = left ? "a" : "b";
  const auto text = document.dump(1) + "\n";
  write_file("blind key", path, std::as_bytes(std::span(text)));
}

}  // namespace daguerre::evaluation
