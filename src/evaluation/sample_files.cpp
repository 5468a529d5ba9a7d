#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/chunk_folder.hpp"
#include "daguerre/evaluation/process_group.hpp"
#include "daguerre/evaluation/sample_job.hpp"
#include "daguerre/evaluation/shard_reader.hpp"
#include "daguerre/evaluation/shard_writer.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* shard_stem = "shard";
constexpr const char* shard_extension = ".tar";

using OrderedJson = nlohmann::ordered_json;

std::string key_of(Index item) {
  std::string number = std::to_string(item);
  if (number.size() < 6) number.insert(0, 6 - number.size(), '0');
  return number;
}

/// What the index says of a picture, but for where it lies.
OrderedJson described(const SampleItem& item, Index width, Index height) {
  OrderedJson result;
  if (item.class_label)
    result["class"] = *item.class_label;
  else
    result["prompt"] = item.prompt;
  if (item.negative_prompt) result["negative_prompt"] = *item.negative_prompt;
  if (!item.category.empty()) result["category"] = item.category;
  result["seed"] = item.seed;
  result["width"] = width;
  result["height"] = height;
  return result;
}

/// One line, without the few bytes of a prompt that may be no UTF-8.
std::string line_of(const OrderedJson& object) {
  return object.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

void write_shard(const SampleJob& job, const std::vector<SampledPicture>& pictures,
                 const std::filesystem::path& file) {
  ShardWriter shard(file);
  for (const auto& picture : pictures) {
    const auto& item = job.items()[static_cast<std::size_t>(picture.index)];
    const auto key = key_of(picture.index);
    shard.add(key + ".png", picture.image.encode_png({{"parameters", picture.settings}}));
    if (item.class_label)
      shard.add(key + ".cls", std::string_view(std::to_string(*item.class_label)));
    else
      shard.add(key + ".txt", std::string_view(item.prompt));
    shard.add(key + ".json",
              std::string_view(line_of(described(item, picture.image.width(), picture.image.height()))));
  }
  shard.finish();
}

/// Width and height of a PNG file that begins with these bytes.
std::array<Index, 2> png_size(std::span<const std::byte> start, const std::filesystem::path& file) {
  if (start.size() < 24 || image_format(start) != "PNG")
    throw FormatError("job", file.string() + ": holds something else than pictures of this job", file);
  std::array<Index, 2> size{};
  for (std::size_t i = 0; i < 8; ++i) size[i / 4] = size[i / 4] << 8 | std::to_integer<Index>(start[16 + i]);
  return size;
}

std::vector<std::byte> start_of(const std::filesystem::path& file, std::uint64_t at) {
  std::vector<std::byte> bytes(32);
  std::ifstream stream(file, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(at));
  if (!stream || !stream.read(reinterpret_cast<char*>(bytes.data()), 32))
    throw FileError("job", file.string() + ": cannot be read", file);
  return bytes;
}

/// The index's lines of a chunk's pictures.
std::string shard_lines(const SampleJob& job, Index chunk, const std::filesystem::path& file) {
  const auto shard = ShardReader::open(file);
  std::string lines;
  Index item = job.begin_of(chunk);
  for (const auto& entry : shard.entries()) {
    if (!entry.name.ends_with(".png")) continue;
    if (item == job.end_of(chunk) || entry.name != key_of(item) + ".png") {
      item = -1;
      break;
    }
    const auto size = png_size(start_of(file, entry.offset), file);
    OrderedJson line{{"file", entry.name},
                     {"shard", file.filename().string()},
                     {"offset", entry.offset},
                     {"size", entry.size}};
    line.update(described(job.items()[static_cast<std::size_t>(item)], size[0], size[1]));
    lines += line_of(line);
    ++item;
  }
  if (item != job.end_of(chunk))
    throw FormatError(
        "job", file.string() + ": does not hold the pictures of its chunk; remove it, and run again", file);
  return lines;
}

std::string loose_lines(const SampleJob& job, Index chunk, const std::filesystem::path& folder) {
  std::string lines;
  for (Index item = job.begin_of(chunk); item < job.end_of(chunk); ++item) {
    const auto name = key_of(item) + ".png";
    const auto size = png_size(start_of(folder / name, 0), folder / name);
    OrderedJson line{{"file", name}};
    line.update(described(job.items()[static_cast<std::size_t>(item)], size[0], size[1]));
    lines += line_of(line);
  }
  return lines;
}

/// The chunks of which a picture is missing.
std::vector<Index> missing_loose(const SampleJob& job, const ChunkFolder& folder, Index& pictures) {
  std::vector<std::string> names;
  std::error_code error;
  const std::filesystem::directory_iterator end;
  for (std::filesystem::directory_iterator entry(folder.folder(), error); !error && entry != end;
       entry.increment(error))
    names.push_back(entry->path().filename().string());
  if (error)
    throw FileError("job", folder.folder().string() + ": cannot be read: " + error.message(),
                    folder.folder());
  std::sort(names.begin(), names.end());
  std::vector<Index> chunks;
  pictures = 0;
  for (Index chunk = 0; chunk < job.chunks(); ++chunk) {
    const Index before = pictures;
    for (Index item = job.begin_of(chunk); item < job.end_of(chunk); ++item)
      if (std::binary_search(names.begin(), names.end(), key_of(item) + ".png")) ++pictures;
    if (pictures - before != job.end_of(chunk) - job.begin_of(chunk)) chunks.push_back(chunk);
  }
  return chunks;
}

}  // namespace

void sample_to_folder(const SampleJob& job, ProcessGroup& group, const ChunkFolder& folder,
                      SampleLayout layout, const std::function<void()>& on_chunk) {
  const auto told = [&] {
    if (on_chunk) on_chunk();
  };
  if (layout == SampleLayout::shards) {
    const auto chunks =
        group.rank() == 0 ? folder.missing(shard_stem, job.chunks(), shard_extension) : std::vector<Index>();
    share_out(group, chunks, [&](Index chunk) {
      ChunkFolder::write(folder.path_of(shard_stem, chunk, shard_extension),
                         [&](const auto& unfinished) { write_shard(job, job.make(chunk), unfinished); });
      told();
    });
  } else {
    Index ignored = 0;
    const auto chunks = group.rank() == 0 ? missing_loose(job, folder, ignored) : std::vector<Index>();
    share_out(group, chunks, [&](Index chunk) {
      for (const auto& picture : job.make(chunk)) {
        const auto png = picture.image.encode_png({{"parameters", picture.settings}});
        ChunkFolder::write(folder.folder() / (key_of(picture.index) + ".png"),
                           {reinterpret_cast<const char*>(png.data()), png.size()});
      }
      told();
    });
  }
  if (group.rank() == 0)
    ChunkFolder::write(folder.folder() / "index.jsonl", [&](const std::filesystem::path& unfinished) {
      std::ofstream index(unfinished, std::ios::binary);
      for (Index chunk = 0; chunk < job.chunks() && index; ++chunk)
        index << (layout == SampleLayout::shards
                      ? shard_lines(job, chunk, folder.path_of(shard_stem, chunk, shard_extension))
                      : loose_lines(job, chunk, folder.folder()));
      index.close();
      if (!index) throw FileError("job", unfinished.string() + ": cannot be written", unfinished);
    });
  group.barrier();
}

Index sampled(const SampleJob& job, const ChunkFolder& folder, SampleLayout layout) {
  Index pictures = 0;
  if (layout == SampleLayout::loose) {
    missing_loose(job, folder, pictures);
    return pictures;
  }
  pictures = job.size();
  for (const Index chunk : folder.missing(shard_stem, job.chunks(), shard_extension))
    pictures -= job.end_of(chunk) - job.begin_of(chunk);
  return pictures;
}

}  // namespace daguerre::evaluation
