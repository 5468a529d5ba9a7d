#include "daguerre/pipeline/lora.hpp"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <set>
#include <system_error>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/weights/adapter_file.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

constexpr std::string_view lora_extension = ".safetensors";

/// The shortest decimal that reads as the same float.
std::string weight_text(float weight) {
  char text[32];
  const auto [end, error] = std::to_chars(std::begin(text), std::end(text), weight);
  return error == std::errc() ? std::string(text, end) : std::string("1");
}

std::string escaped_name(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (c == ',' || c == ':' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

/// `text` cut at each `separator` that no backslash stands before.
std::vector<std::string_view> cut_at(std::string_view text, char separator) {
  std::vector<std::string_view> result;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == separator) {
      result.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  result.push_back(text.substr(begin));
  return result;
}

float parsed_weight(std::string_view text) {
  float weight = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
  if (error != std::errc() || end != text.data() + text.size())
    throw FormatError(lora_name, "the weight of a LoRA is " + in_quotes(text) + ", expected a number");
  return weight;
}

/// The files of a folder that may be LoRAs: their paths by name.
std::multimap<std::string, std::filesystem::path, std::less<>> lora_files(
    const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::recursive_directory_iterator entries(folder, fs::directory_options::skip_permission_denied, error);
  if (error) throw FileError(lora_name, folder.string() + ": " + error.message(), folder);
  std::multimap<std::string, fs::path, std::less<>> result;
  for (const fs::recursive_directory_iterator end; entries != end; entries.increment(error)) {
    if (error) break;
    std::error_code unreadable;
    if (entries->is_regular_file(unreadable) && entries->path().extension().string() == lora_extension)
      result.emplace(entries->path().stem().string(), entries->path());
  }
  return result;
}

/// How alike two names are: letters of which both begin, small and capital ones the same.
std::size_t alike(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  const auto ends = std::mismatch(a.begin(), a.end(), b.begin(), b.end(),
                                  [&](char x, char y) { return lower(x) == lower(y); });
  return static_cast<std::size_t>(ends.first - a.begin());
}

/// The names that are most like `name`.
std::string likely_names(std::string_view name, std::vector<std::string> names) {
  constexpr std::size_t most = 3;
  std::stable_sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return alike(a, name) > alike(b, name);
  });
  std::string result;
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i)
    result += (i == 0 ? "" : ", ") + in_quotes(names[i]);
  return names.size() > most ? result + " …" : result;
}

}  // namespace

std::shared_ptr<const Lora> Lora::load(const std::filesystem::path& path, const LoraOptions& options) {
  auto file =
      weights::AdapterFile::load(path, {.partial = options.partial, .block_weights = options.block_weights});
  return std::make_shared<const Lora>(path.stem().string(), std::move(file), options.partial);
}

Lora::Lora(std::string name, weights::AdapterFile file, bool partial)
    : name_(std::move(name)),
      file_(std::make_shared<const weights::AdapterFile>(std::move(file))),
      partial_(partial) {}

std::string lora_mentions(std::span<const LoraInfo> loras) {
  std::string result;
  for (const auto& lora : loras) {
    result += (result.empty() ? "" : ", ") + escaped_name(lora.name) + ":" + weight_text(lora.weight);
    if (lora.text_encoder_weight != lora.weight) result += ":" + weight_text(lora.text_encoder_weight);
  }
  return result;
}

std::vector<LoraMention> parse_lora_mentions(std::string_view text) {
  std::vector<LoraMention> result;
  for (auto item : cut_at(text, ',')) {
    item.remove_prefix(std::min(item.find_first_not_of(' '), item.size()));
    const auto fields = cut_at(item, ':');
    if (fields.size() < 2 || fields.size() > 3 || fields[0].empty())
      throw FormatError(lora_name, "a LoRA in settings is " + in_quotes(item) + ", expected name:weight");
    LoraMention mention;
    for (std::size_t i = 0; i < fields[0].size(); ++i) {
      if (fields[0][i] == '\\' && i + 1 < fields[0].size()) ++i;
      mention.name += fields[0][i];
    }
    mention.weight = parsed_weight(fields[1]);
    if (fields.size() == 3) mention.text_encoder_weight = parsed_weight(fields[2]);
    result.push_back(std::move(mention));
  }
  return result;
}

struct LoraFolder::State {
  std::filesystem::path folder;
  LoraOptions options;
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<const Lora>, std::less<>> loaded;
};

LoraFolder::LoraFolder(std::filesystem::path folder, LoraOptions options)
    : state_(std::make_shared<State>()) {
  state_->folder = std::move(folder);
  state_->options = std::move(options);
}

std::shared_ptr<const Lora> LoraFolder::operator()(std::string_view name) const {
  const std::lock_guard lock(state_->mutex);
  if (const auto known = state_->loaded.find(name); known != state_->loaded.end())
    if (auto lora = known->second.lock()) return lora;
  const auto files = lora_files(state_->folder);
  const auto [first, last] = files.equal_range(name);
  const auto where = state_->folder.string();
  if (first == last) {
    const auto all = names();
    throw ArgumentError(lora_name,
                        "there is no LoRA " + in_quotes(name) + " in " + where +
                            (all.empty() ? ", which has none" : "; there are " + likely_names(name, all)));
  }
  if (std::next(first) != last)
    throw ArgumentError(lora_name, "several LoRAs in " + where + " are called " + in_quotes(name) + ": " +
                                       first->second.string() + ", " + std::next(first)->second.string());
  auto lora = Lora::load(first->second, state_->options);
  state_->loaded.insert_or_assign(std::string(name), lora);
  return lora;
}

std::vector<std::string> LoraFolder::names() const {
  std::set<std::string> result;
  for (const auto& [name, path] : lora_files(state_->folder)) result.insert(name);
  return {result.begin(), result.end()};
}

}  // namespace daguerre
