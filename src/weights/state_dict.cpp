#include "daguerre/weights/state_dict.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <mutex>
#include <numeric>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/delta_file.hpp"
#include "weights/names.hpp"
#include "weights/weight_files.hpp"

namespace daguerre::weights {
namespace {

// Levenshtein distance.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// Dot-separated parts that both names end with.
std::size_t shared_parts(std::string_view a, std::string_view b) {
  const auto [end_a, end_b] = std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend());
  std::string_view tail = a.substr(static_cast<std::size_t>(a.rend() - end_a));
  const bool cut_in_a = end_a != a.rend() && *end_a != '.';
  const bool cut_in_b = end_b != b.rend() && *end_b != '.';
  // The first part of the common tail may be the end of a longer one ("in.weight" of "conv_in.weight").
  if (cut_in_a || cut_in_b) {
    const auto dot = tail.find('.');
    if (dot == std::string_view::npos) return 0;
    tail.remove_prefix(dot + 1);
  }
  if (tail.starts_with('.')) tail.remove_prefix(1);
  return tail.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(tail.begin(), tail.end(), '.'));
}

// Up to three of `names` that may be meant by `wanted`, for the message that it is missing: those that end in
// the same two parts (or the whole of it), and those that differ by a few letters.
std::string nearest_names(std::string_view wanted, const std::vector<std::string_view>& names) {
  constexpr std::size_t most_examined = 20000, longest = 200, most_named = 3;
  const std::size_t few = wanted.size() / 4 + 1;
  const auto wanted_parts = 1 + static_cast<std::size_t>(std::count(wanted.begin(), wanted.end(), '.'));
  std::vector<std::pair<std::size_t, std::string_view>> ranked;
  if (wanted.size() <= longest) {
    for (const auto name : std::span(names).first(std::min(names.size(), most_examined))) {
      if (name.size() > longest) continue;
      const bool same_end = shared_parts(wanted, name) >= std::min<std::size_t>(wanted_parts, 2);
      const std::size_t distance = edit_distance(wanted, name);
      if (same_end || distance <= few) ranked.emplace_back(distance, name);
    }
  }
  std::sort(ranked.begin(), ranked.end());
  std::string text;
  for (const auto& [distance, name] : std::span(ranked).first(std::min(ranked.size(), most_named)))
    text += (text.empty() ? "; the nearest there are: " : ", ") + in_quotes(name);
  return text;
}

/// All elements of a weight that is not stored number by number, as its type has them.
void decode(ops::WeightSource source, std::vector<std::byte>& out) {
  if (source.shape.rank() == 0) source.shape = {1};
  const auto elements = static_cast<std::size_t>(source.shape.size());
  out.resize(elements * size_of(element_type(source.dtype)));
  const auto whole = [&]<class T>(T) {
    std::vector<T> values(elements);
    ops::Weight(source).read(0, source.shape[0], values.data());
    std::memcpy(out.data(), values.data(), out.size());
  };
  if (source.dtype == DType::f16) return whole(half());
  if (source.dtype == DType::bf16) return whole(bfloat16());
  whole(0.0f);
}

}  // namespace

struct StateDict::State {
  struct Entry {
    const TensorFile* file;
    const TensorInfo* info;
    std::string source = {};      ///< the name in the file, where it is another
    bool transposed = false;      ///< the file has the axes the other way round
    bool halves_swapped = false;  ///< the file has the halves of the rows the other way round

    bool is_rearranged() const noexcept { return transposed || halves_swapped; }
  };

  std::string source;
  std::filesystem::path path;
  std::vector<std::shared_ptr<const TensorFile>> files;
  std::deque<TensorInfo> own;  ///< what the files do not list themselves; a deque keeps addresses
  std::unordered_map<std::string_view, Entry> entries;
  mutable std::mutex mutex;
  std::unordered_set<std::string_view> asked;

  State(const State& other, const std::vector<RenamedTensor>& tensors)
      : source(other.source), path(other.path), files(other.files) {
    for (const auto& tensor : tensors) {
      const auto& from = other.require(tensor.source);
      auto& info = own.emplace_back(*from.info);
      info.name = tensor.name;
      const auto refuse = [&](const std::string& what) {
        throw WeightError(
            weights_name,
            source + ": tensor " + in_quotes(tensor.source) + " has shape " + to_string(info.shape) + what,
            path);
      };
      if (from.is_rearranged() && (tensor.rows != -1 || tensor.shape))
        refuse(" and is rearranged: no rows of it and no other shape can be had");
      if (tensor.rows != -1) take_rows(info, tensor.first_row, tensor.rows, refuse);
      if (tensor.shape) {
        if (tensor.shape->size() != info.shape.size()) refuse(", it cannot be " + to_string(*tensor.shape));
        info.shape = *tensor.shape;
      }
      if (tensor.transposed) {
        if (info.shape.rank() != 2) refuse(", it has to have two axes to be transposed");
        info.shape = Shape{info.shape[1], info.shape[0]};
      }
      const Entry entry{from.file, &info, from.source.empty() ? from.info->name : from.source,
                        from.transposed != tensor.transposed, from.halves_swapped != tensor.halves_swapped};
      if (entry.halves_swapped && (entry.transposed || info.shape.rank() == 0 || info.shape[0] % 2 != 0))
        refuse(", it has no two halves that can be exchanged");
      if (!entries.try_emplace(info.name, entry).second)
        throw FormatError(weights_name, source + ": tensor " + in_quotes(tensor.name) + " is named twice",
                          path);
    }
  }

  State(const State& first, const State& second)
      : source(first.source), path(first.path), files(first.files) {
    files.insert(files.end(), second.files.begin(), second.files.end());
    for (const auto* part : {&first, &second}) {
      const std::lock_guard lock(part->mutex);
      for (const auto& [name, entry] : part->entries) {
        auto copy = entry;
        copy.info = &own.emplace_back(*entry.info);
        if (!entries.try_emplace(copy.info->name, copy).second)
          throw FormatError(weights_name, source + ": tensor " + in_quotes(name) + " is in both files", path);
      }
    }
  }

  State(const State& other, std::shared_ptr<const TensorFile> changed)
      : source(other.source), path(other.path), files(other.files) {
    const std::lock_guard lock(other.mutex);
    for (const auto& info : changed->tensors())
      entries.emplace(info.name, Entry{changed.get(), &info, other.entries.at(info.name).source});
    for (const auto& [name, entry] : other.entries) {
      if (entries.contains(name)) continue;
      auto copy = entry;
      copy.info = &own.emplace_back(*entry.info);
      entries.emplace(copy.info->name, copy);
    }
    files.push_back(std::move(changed));
  }

  template <class Refuse>
  static void take_rows(TensorInfo& info, Index first, Index rows, const Refuse& refuse) {
    const Index total = info.shape.rank() == 0 ? 0 : info.shape[0];
    if (first < 0 || rows < 0 || first > total - rows || total == 0)
      refuse(", rows " + std::to_string(first) + " to " + std::to_string(first + rows) + " are asked for");
    if (is_block(info.dtype)) return take_rows_of_blocks(info, first, rows);
    const std::size_t row = (info.end - info.begin) / static_cast<std::size_t>(total);
    info.begin += static_cast<std::size_t>(first) * row;
    info.end = info.begin + static_cast<std::size_t>(rows) * row;
    info.shape = info.shape.with(0, rows);
  }

  // Rows may begin and end inside a block.
  static void take_rows_of_blocks(TensorInfo& info, Index first, Index rows) {
    const auto block = block_of(info.dtype);
    const Index row = info.shape.tail().size();
    const Index begin = info.lead + first * row, end = begin + rows * row;
    const std::size_t origin = info.begin;
    info.begin = origin + static_cast<std::size_t>(begin / block.elements * block.bytes);
    info.end = origin + static_cast<std::size_t>((end + block.elements - 1) / block.elements * block.bytes);
    info.lead = begin % block.elements;
    if (rows == 0) info.end = info.begin;
    info.shape = info.shape.with(0, rows);
  }

  State(std::vector<std::shared_ptr<const TensorFile>> parts, std::string name)
      : source(std::move(name)), files(std::move(parts)) {
    if (files.size() == 1) path = files.front()->path();
    for (const auto& file : files)
      for (const auto& info : file->tensors()) {
        const auto [present, added] = entries.try_emplace(info.name, Entry{file.get(), &info});
        if (!added)
          throw FormatError(weights_name,
                            "tensor " + in_quotes(info.name) + " is in " + present->second.file->name() +
                                " and in " + file->name(),
                            file->path());
      }
  }

  std::vector<std::string_view> names() const {
    const std::lock_guard lock(mutex);
    std::vector<std::string_view> result;
    result.reserve(entries.size());
    for (const auto& [name, entry] : entries) result.push_back(name);
    std::sort(result.begin(), result.end());
    return result;
  }
  /// The entry of that name, which is counted as asked for. Throws when it has not the expected shape.
  const Entry& ask(std::string_view name, const Shape& expected) {
    supply(name, expected);
    const auto& entry = require(name);
    if (!(entry.info->shape == expected))
      throw WeightError(weights_name,
                        entry.file->name() + ": tensor " + in_quotes(name) +
                            (entry.source.empty() ? "" : " (there " + in_quotes(entry.source) + ")") +
                            " has shape " + to_string(entry.info->shape) + ", the config asks for " +
                            to_string(expected),
                        entry.file->path());
    const std::lock_guard lock(mutex);
    asked.insert(entry.info->name);
    return entry;
  }
  const Entry* find(std::string_view name) const {
    const std::lock_guard lock(mutex);
    const auto found = entries.find(name);
    return found == entries.end() ? nullptr : &found->second;
  }
  const Entry& require(std::string_view name) const {
    if (const auto* found = find(name)) return *found;
    throw WeightError(weights_name,
                      source + ": tensor " + in_quotes(name) + " is missing" + nearest_names(name, names()),
                      path);
  }
  /// Enters a tensor that is listed nowhere, where one of the files has it all the same.
  void supply(std::string_view name, const Shape& shape) {
    if (find(name) != nullptr) return;
    for (const auto& file : files)
      if (auto info = file->supply(name, shape)) {
        const std::lock_guard lock(mutex);
        const auto& kept = own.emplace_back(std::move(*info));
        entries.try_emplace(kept.name, Entry{file.get(), &kept});
        return;
      }
  }
};

StateDict StateDict::load(const std::filesystem::path& path, const SafetensorsOptions& options,
                          const WeightNames& names) {
  return naming(path, [&] {
    StateDict result(open_weight_files(path, options, names), path.string());
    if (result.state_->path.empty()) result.state_->path = path;
    return result;
  });
}

bool StateDict::is_there(const std::filesystem::path& folder, const WeightNames& names) {
  return !find_weight_file(folder, names).empty();
}

StateDict::StateDict(std::vector<SafetensorsFile> files) {
  std::string source = files.empty() ? "(no files)" : files.front().name();
  if (files.size() > 1) source += " and " + std::to_string(files.size() - 1) + " more";
  std::vector<std::shared_ptr<const TensorFile>> kept;
  for (auto& file : files) kept.push_back(std::make_shared<const SafetensorsFile>(std::move(file)));
  state_ = std::make_shared<State>(std::move(kept), std::move(source));
}

StateDict::StateDict(std::vector<std::shared_ptr<const TensorFile>> files, std::string source)
    : state_(std::make_shared<State>(std::move(files), std::move(source))) {}

StateDict StateDict::renamed(const std::vector<RenamedTensor>& tensors) const {
  return StateDict(std::make_shared<State>(*state_, tensors));
}

StateDict StateDict::joined(const StateDict& other) const {
  return StateDict(std::make_shared<State>(*state_, *other.state_));
}

StateDict StateDict::with_deltas(const Deltas& deltas) const {
  return StateDict(std::make_shared<State>(*state_, delta_file(*this, deltas)));
}

bool StateDict::contains(std::string_view name) const {
  return find(name) != nullptr;
}

const TensorInfo* StateDict::find(std::string_view name) const {
  const auto* found = state_->find(name);
  return found == nullptr ? nullptr : found->info;
}

Tensor<float> StateDict::tensor(std::string_view name, const Shape& expected, const MemoryPool* pool) const {
  const auto& entry = state_->ask(name, expected);
  auto stored = entry.file->floats(*entry.info, pool);
  if (entry.halves_swapped) {
    const Index half = expected[0] / 2;
    return concat_leading<float>(std::array{stored.slice(half, 2 * half), stored.slice(0, half)}, pool);
  }
  if (!entry.transposed) return stored;
  const Index rows = expected[0], columns = expected[1];
  auto result = pool == nullptr ? Tensor<float>(expected) : Tensor<float>(expected, *pool);
  float* const out = result.data();
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j) out[i * columns + j] = stored.data()[j * rows + i];
  return result;
}

ops::WeightSource StateDict::weight(std::string_view name, const Shape& expected) const {
  const auto& entry = state_->ask(name, expected);
  auto result = entry.file->weight(*entry.info);
  if (!entry.is_rearranged()) return result;
  const auto elements = std::make_shared<std::vector<std::byte>>();
  result.bytes = bytes(name, *elements);
  result.dtype = element_type(result.dtype);
  result.decoder = nullptr;
  result.owner = elements;
  result.release = nullptr;
  return result;
}

bool StateDict::is_computed(std::string_view name) const {
  const auto& entry = state_->require(name);
  return entry.file->weight(*entry.info).decoder != nullptr;
}

void StateDict::release_pages() const noexcept {
  for (const auto& file : state_->files) file->release_pages();
}

std::span<const std::byte> StateDict::bytes(std::string_view name, std::vector<std::byte>& scratch) const {
  const auto& entry = state_->require(name);
  const auto source = entry.file->weight(*entry.info);
  if (source.decoder) decode(source, scratch);
  const auto stored = source.decoder ? std::span<const std::byte>(scratch) : source.bytes;
  if (!entry.is_rearranged()) return stored;
  std::vector<std::byte> exchanged(stored.size());
  if (entry.halves_swapped) {
    const auto half = static_cast<std::ptrdiff_t>(stored.size() / 2);
    std::rotate_copy(stored.begin(), stored.begin() + half, stored.end(), exchanged.begin());
    scratch = std::move(exchanged);
    return scratch;
  }
  const auto rows = static_cast<std::size_t>(entry.info->shape[0]);
  const auto columns = static_cast<std::size_t>(entry.info->shape[1]);
  const auto width = size_of(element_type(entry.info->dtype));
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      std::memcpy(exchanged.data() + (i * columns + j) * width, stored.data() + (j * rows + i) * width,
                  width);
  scratch = std::move(exchanged);
  return scratch;
}

void StateDict::release_pages(std::string_view name) const {
  const auto& entry = state_->require(name);
  entry.file->release_pages(*entry.info);
}

std::string_view StateDict::source_name(std::string_view name) const {
  const auto& entry = state_->require(name);
  return entry.source.empty() ? std::string_view(entry.info->name) : std::string_view(entry.source);
}

Shape StateDict::shape(std::string_view name) const {
  return state_->require(name).info->shape;
}

std::vector<std::string> StateDict::names() const {
  const auto views = state_->names();
  return {views.begin(), views.end()};
}

bool StateDict::contains_below(std::string_view prefix) const {
  const std::lock_guard lock(state_->mutex);
  return std::any_of(state_->entries.begin(), state_->entries.end(),
                     [&](const auto& entry) { return entry.first.starts_with(prefix); });
}

std::vector<std::string> StateDict::unused() const {
  std::vector<std::string> result;
  const auto names = state_->names();
  const std::lock_guard lock(state_->mutex);
  for (const auto name : names)
    if (!state_->asked.contains(name)) result.emplace_back(name);
  return result;
}

std::map<std::string, std::string> StateDict::metadata() const {
  std::map<std::string, std::string> result;
  for (const auto& file : state_->files) result.insert(file->metadata().begin(), file->metadata().end());
  return result;
}

const std::string& StateDict::source() const {
  return state_->source;
}

const std::filesystem::path& StateDict::path() const noexcept {
  return state_->path;
}

Scope Scope::sub(std::string_view child) const {
  return Scope(weights_, full(child));
}

bool Scope::contains(std::string_view name) const {
  return weights_.contains(full(name));
}

Tensor<float> Scope::tensor(std::string_view name, const Shape& expected, const MemoryPool* pool) const {
  return weights_.tensor(full(name), expected, pool);
}

ops::WeightSource Scope::weight(std::string_view name, const Shape& expected) const {
  return weights_.weight(full(name), expected);
}

Shape Scope::shape(std::string_view name) const {
  return weights_.shape(full(name));
}

std::string Scope::full(std::string_view name) const {
  return prefix_.empty() ? std::string(name) : prefix_ + "." + std::string(name);
}

}  // namespace daguerre::weights
