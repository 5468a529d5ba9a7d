#include "daguerre/evaluation/feature_job.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "core/sha256.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/chunk_folder.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "evaluation/temporary_folder.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* job_speaker = "job";
constexpr const char* chunk_stem = "chunk";
constexpr const char* chunk_ending = ".safetensors";
constexpr const char* items_key = "items";
constexpr const char* unreadable_key = "unreadable";
constexpr std::string_view values_prefix = "value.";

weights::SafetensorsWriter chunk_writer(const ChunkValues& chunk) {
  weights::SafetensorsWriter writer;
  const auto count = static_cast<Index>(chunk.items.size());
  for (const auto& [name, tensor] : chunk.tensors) writer.add(name, tensor);
  for (const auto& [name, values] : chunk.values)
    writer.add(std::string(values_prefix) + name, Tensor<double>::copy_of({count}, values));
  auto unreadable = nlohmann::json::array();
  for (const auto& [name, why] : chunk.unreadable) unreadable.push_back({name, why});
  writer.set_metadata(items_key, nlohmann::json(chunk.items).dump());
  // Names of files need not be UTF-8.
  writer.set_metadata(unreadable_key,
                      unreadable.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return writer;
}

ChunkValues read_chunk(const std::filesystem::path& path) {
  const auto file = weights::SafetensorsFile::open(path);
  const auto entry = [&](const char* key) {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end())
      throw FormatError(job_speaker, path.string() + ": no chunk of a job: \"" + key + "\" is missing", path);
    return parse_json(found->second, path.string());
  };
  try {
    ChunkValues chunk;
    chunk.items = entry(items_key).get<std::vector<Index>>();
    for (const auto& pair : entry(unreadable_key))
      chunk.unreadable.push_back({pair.at(0).get<std::string>(), pair.at(1).get<std::string>()});
    for (const auto& info : file.tensors()) {
      if (!info.name.starts_with(values_prefix)) {
        chunk.tensors.emplace(info.name, file.read<float>(info.name));
        continue;
      }
      const auto values = file.read<double>(info.name);
      chunk.values.emplace(info.name.substr(values_prefix.size()),
                           std::vector<double>(values.data(), values.data() + values.size()));
    }
    return chunk;
  } catch (const nlohmann::json::exception&) {
    throw FormatError(job_speaker, path.string() + ": no chunk of a job", path);
  }
}

/// What a chunk with items holds by that name, a row for each of them.
template <class T>
const T& entry_of(const std::map<std::string, T>& entries, const std::string& name,
                  const std::filesystem::path& path) {
  const auto found = entries.find(name);
  if (found == entries.end())
    throw FormatError(job_speaker, path.string() + ": no " + in_quotes(name) + " of its items", path);
  return found->second;
}

}  // namespace

struct ChunkResults::State {
  std::optional<TemporaryFolder> temporary{};
  std::optional<ChunkFolder> folder{};
  Index chunks = 0, count = 0;
  std::vector<Unreadable> unreadable{};
};

ChunkResults run_chunks(const std::string& job, Index count,
                        const std::function<ChunkValues(Index begin, Index end)>& work,
                        const JobOptions& options) {
  if (count < 1)
    throw ArgumentError(job_speaker, "there is nothing to do: " + std::to_string(count) + " items");
  if (options.chunk < 1)
    throw ArgumentError(job_speaker, "chunks of " + std::to_string(options.chunk) + " items");
  const auto own = options.group == nullptr ? alone() : nullptr;
  ProcessGroup& group = own != nullptr ? *own : *options.group;
  if (group.size() > 1 && options.work.empty())
    throw ArgumentError(job_speaker, std::to_string(group.size()) +
                                         " processes share the work: name a folder that all of them see");

  auto settings = parse_json(job, "the job's settings");
  settings["number_of_items"] = count;
  settings["chunk"] = options.chunk;
  const auto text = to_text(settings);
  Sha256 hash;
  hash.add(std::as_bytes(std::span<const char>(text)));
  constexpr std::size_t digits = 16;  // of the name: the folder compares the settings themselves

  const auto state = std::make_shared<ChunkResults::State>();
  if (options.work.empty()) state->temporary.emplace();
  const auto& parent = state->temporary ? state->temporary->path() : options.work;
  auto& folder = state->folder.emplace(parent / ("job-" + hash.hex().substr(0, digits)), text, group);
  state->chunks = (count - 1) / options.chunk + 1;
  const auto tell = [&] {
    if (!options.on_chunk || group.rank() != 0) return;
    const auto left = folder.missing(chunk_stem, state->chunks, chunk_ending);
    options.on_chunk(state->chunks - static_cast<Index>(left.size()), state->chunks);
  };
  folder.complete(group, chunk_stem, state->chunks, chunk_ending,
                  [&](Index chunk, const std::filesystem::path& unfinished) {
                    if (options.stop.stop_requested()) throw Cancelled(job_speaker, "a stop was requested");
                    tell();
                    const Index begin = chunk * options.chunk;
                    chunk_writer(work(begin, std::min(count, begin + options.chunk))).save(unfinished);
                  });
  tell();
  for (Index chunk = 0; chunk < state->chunks; ++chunk) {
    const auto path = folder.path_of(chunk_stem, chunk, chunk_ending);
    const auto done = read_chunk(path);
    state->count += static_cast<Index>(done.items.size());
    state->unreadable.insert(state->unreadable.end(), done.unreadable.begin(), done.unreadable.end());
  }
  return ChunkResults(state);
}

Index ChunkResults::chunks() const noexcept {
  return state_->chunks;
}

ChunkValues ChunkResults::read(Index chunk) const {
  return read_chunk(state_->folder->path_of(chunk_stem, chunk, chunk_ending));
}

Index ChunkResults::count() const noexcept {
  return state_->count;
}

const std::vector<Unreadable>& ChunkResults::unreadable() const noexcept {
  return state_->unreadable;
}

Tensor<float> ChunkResults::tensor(const std::string& name) const {
  std::vector<Tensor<float>> parts;
  for (Index chunk = 0; chunk < chunks(); ++chunk) {
    auto part = tensor_of(chunk, name);
    if (!part.empty()) parts.push_back(std::move(part));
  }
  if (parts.empty()) throw ArgumentError(job_speaker, "there is no \"" + name + "\" of any item");
  return concat_leading<float>(parts);
}

Tensor<float> ChunkResults::tensor_of(Index chunk, const std::string& name) const {
  const auto done = read(chunk);
  if (done.items.empty()) return {};
  return entry_of(done.tensors, name, state_->folder->path_of(chunk_stem, chunk, chunk_ending));
}

std::vector<double> ChunkResults::values(const std::string& name) const {
  std::vector<double> result;
  for (Index chunk = 0; chunk < chunks(); ++chunk) {
    const auto done = read(chunk);
    if (done.items.empty()) continue;
    const auto& values =
        entry_of(done.values, name, state_->folder->path_of(chunk_stem, chunk, chunk_ending));
    result.insert(result.end(), values.begin(), values.end());
  }
  return result;
}

std::vector<Index> ChunkResults::items() const {
  std::vector<Index> result;
  for (Index chunk = 0; chunk < chunks(); ++chunk) {
    const auto done = read(chunk);
    result.insert(result.end(), done.items.begin(), done.items.end());
  }
  return result;
}

const std::filesystem::path& ChunkResults::folder() const noexcept {
  return state_->folder->folder();
}

std::vector<Image> read_pictures(const PictureSet& set, Index begin, Index end, const Threads& threads,
                                 ChunkValues& values) {
  struct Read {
    Image image{};
    std::string problem{};
  };
  std::vector<Read> read(static_cast<std::size_t>(end - begin));
  parallel_for(threads, end - begin, 1, [&](Index from, Index to) {
    for (Index i = from; i < to; ++i) {
      auto& picture = read[static_cast<std::size_t>(i)];
      try {
        picture.image = set.read(begin + i);
      } catch (const Cancelled&) {
        throw;
      } catch (const Error& error) {
        picture.problem = error.message();
      }
    }
  });
  std::vector<Image> result;
  for (Index i = begin; i < end; ++i) {
    auto& picture = read[static_cast<std::size_t>(i - begin)];
    if (picture.image.empty()) {
      values.unreadable.push_back({set.name(i), picture.problem});
    } else {
      values.items.push_back(i);
      result.push_back(std::move(picture.image));
    }
  }
  return result;
}

ChunkResults run_features(const PictureSet& set, const FeatureNetwork& network, const JobOptions& options) {
  if (options.batch < 1) throw ArgumentError(job_speaker, "batches of " + std::to_string(options.batch));
  const nlohmann::json job{{"job", "features"},
                           {"network", network.kind()},
                           {"definition", network.definition()},
                           {"weights", network.fingerprint()},
                           {"engine", network.engine()},
                           {"pictures", set.fingerprint()}};
  const auto work = [&](Index begin, Index end) {
    ChunkValues chunk;
    std::vector<Tensor<float>> features, logits;
    for (Index at = begin; at < end; at += options.batch) {
      const auto pictures =
          read_pictures(set, at, std::min(end, at + options.batch), network.threads(), chunk);
      if (options.stop.stop_requested()) throw Cancelled(job_speaker, "a stop was requested");
      if (pictures.empty()) continue;
      auto seen = network(pictures, options.stop);
      features.push_back(std::move(seen.features));
      if (!seen.logits.empty()) logits.push_back(std::move(seen.logits));
    }
    if (!features.empty()) chunk.tensors.emplace("features", concat_leading<float>(features));
    if (!logits.empty()) chunk.tensors.emplace("logits", concat_leading<float>(logits));
    return chunk;
  };
  auto results = run_chunks(to_text(job), set.size(), work, options);
  if (results.count() == 0)
    throw ArgumentError(job_speaker,
                        set.path().string() + ": none of " + std::to_string(set.size()) +
                            " pictures can be read; the first: " + results.unreadable().front().why);
  return results;
}

metrics::FeatureStatistics feature_statistics(const ChunkResults& features, const std::string& name) {
  std::optional<metrics::FeatureStatistics> result;
  for (Index chunk = 0; chunk < features.chunks(); ++chunk) {
    const auto rows = features.tensor_of(chunk, name);
    if (rows.empty()) continue;
    if (!result) result.emplace(rows.dim(1));
    result->add(rows);
  }
  if (!result) throw ArgumentError(job_speaker, "there are no features");
  return *std::move(result);
}

}  // namespace daguerre::evaluation
