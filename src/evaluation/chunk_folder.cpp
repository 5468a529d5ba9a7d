#include "daguerre/evaluation/chunk_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#if __has_include(<fcntl.h>) && __has_include(<unistd.h>)
#include <fcntl.h>
#include <unistd.h>
#define DAGUERRE_HAS_FSYNC 1
#endif

#include "config/json.hpp"
#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/process_group.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* job_name = "job";
constexpr const char* job_file = "job.json";
constexpr std::string_view unfinished_ending = ".unfinished";
constexpr std::size_t most_job_bytes = std::size_t{64} << 20;

using Path = std::filesystem::path;

FileError job_file_error(const Path& path, const std::string& why) {
  return FileError(job_name, path.string() + ": " + why, path);
}

/// Names of what lies in a folder; none where there is no folder.
std::vector<std::string> names_in(const Path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error))
    names.push_back(at->path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory)
    throw job_file_error(folder, "cannot be read: " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

/// Brings what was written to the disk, so that a file has its name only with its bytes, also behind a
/// failure of the machine's power.
void sync(const Path& path) {
#ifdef DAGUERRE_HAS_FSYNC
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw job_file_error(path, "cannot be read: " + std::generic_category().message(errno));
  const int result = ::fsync(file), reason = errno;
  ::close(file);
  // File systems that know nothing of it say EINVAL.
  if (result != 0 && reason != EINVAL && reason != ENOTSUP)
    throw job_file_error(path, "cannot be written: " + std::generic_category().message(reason));
#else
  static_cast<void>(path);
#endif
}

/// A name that nothing else has.
std::string random_name() {
  std::random_device random;
  std::ostringstream name;
  name << std::hex << random() << random();
  return name.str();
}

/// A setting in few words.
std::string setting_text(const nlohmann::json* value) {
  constexpr std::size_t most = 120;
  if (value == nullptr) return "not given";
  if (value->is_string()) return in_quotes(value->get_ref<const std::string&>());
  const auto text = to_text(*value);
  const auto quoted = in_quotes(text);  // without what could break the line
  return text.size() <= most ? text : quoted;
}

/// Where two jobs differ first, and how: "request.steps" is 20 there, 30 now.
std::optional<std::string> first_difference(const nlohmann::json& there, const nlohmann::json& now,
                                            const std::string& name) {
  const auto member = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
  if (there.is_object() && now.is_object()) {
    std::set<std::string> keys;
    for (const auto* object : {&there, &now})
      for (const auto& item : object->items()) keys.insert(item.key());
    for (const auto& key : keys) {
      const auto old = there.find(key), current = now.find(key);
      const nlohmann::json* values[] = {old == there.end() ? nullptr : &*old,
                                        current == now.end() ? nullptr : &*current};
      if (values[0] != nullptr && values[1] != nullptr) {
        if (auto found = first_difference(*values[0], *values[1], member(key))) return found;
      } else {
        return "\"" + member(key) + "\" is " + setting_text(values[0]) + " there, " +
               setting_text(values[1]) + " now";
      }
    }
    return std::nullopt;
  }
  if (there.is_array() && now.is_array() && there.size() == now.size()) {
    for (std::size_t i = 0; i < there.size(); ++i)
      if (auto found = first_difference(there[i], now[i], name + "[" + std::to_string(i) + "]")) return found;
    return std::nullopt;
  }
  // By their texts: 1 and 1.0 are not the same setting.
  if (there.type() == now.type() && to_text(there) == to_text(now)) return std::nullopt;
  return "\"" + name + "\" is " + setting_text(&there) + " there, " + setting_text(&now) + " now";
}

nlohmann::json parse_job(const std::string& text, const std::string& source) {
  auto job = parse_json(text, source);
  if (!job.is_object()) throw FormatError(job_name, source + ": expected a JSON object");
  return job;
}

void make_or_compare(const Path& folder, const std::string& job) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || !is_folder(folder))
    throw job_file_error(
        folder, error ? "cannot be made: " + error.message() : "expected a folder, found something else");
  const Path path = folder / job_file;
  const auto now = parse_job(job, "the job's settings");
  if (!path_exists(path)) {
    for (const auto& name : names_in(folder))
      if (!name.ends_with(unfinished_ending) && !path_exists(path))
        throw ArgumentError(job_name, folder.string() + ": holds " + in_quotes(name) + " and no " + job_file +
                                          "; expected a new folder, an empty one, or that of the same job");
    ChunkFolder::write(path, job);
    return;
  }
  const auto there = parse_job(read_text_file(path, most_job_bytes), path.string());
  if (const auto difference = first_difference(there, now, ""))
    throw ArgumentError(job_name, folder.string() + ": is the folder of another job: " + *difference +
                                      "; take another folder, or remove this one");
}

}  // namespace

ChunkFolder::ChunkFolder(std::filesystem::path folder, const std::string& job) : folder_(std::move(folder)) {
  make_or_compare(folder_, job);
}

ChunkFolder::ChunkFolder(std::filesystem::path folder, const std::string& job, ProcessGroup& group)
    : folder_(std::move(folder)) {
  const auto first_job = group.broadcast(job);
  if (group.rank() == 0) {
    make_or_compare(folder_, job);
    for (const auto& name : names_in(folder_))
      if (name.ends_with(unfinished_ending)) {
        std::error_code ignored;
        std::filesystem::remove(folder_ / name, ignored);
      }
  } else if (const auto difference = first_difference(parse_job(first_job, "the job of rank 0"),
                                                      parse_job(job, "the job's settings"), "")) {
    throw ArgumentError(job_name, "rank " + std::to_string(group.rank()) +
                                      " has another job than rank 0 (there): " + *difference);
  }
  check_seen_by_all(group);
}

void ChunkFolder::check_seen_by_all(ProcessGroup& group) const {
  if (group.size() == 1) return;
  std::string name;
  if (group.rank() == 0) {
    name = "seen-by-all-" + random_name() + std::string(unfinished_ending);
    write(folder_ / name, name);
  }
  name = group.broadcast(name);
  // Network file systems may remember for a while that a name was not there.
  constexpr int tries = 100;
  for (int i = 0; group.rank() != 0; ++i) {
    if (path_exists(folder_ / name)) break;
    if (i == tries)
      throw job_file_error(folder_, "rank " + std::to_string(group.rank()) +
                                        " does not see what rank 0 writes there; all processes must see the "
                                        "same folder, on a file system that their machines share");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    names_in(folder_);  // makes some of them look again
  }
  group.barrier();
  if (group.rank() == 0) std::filesystem::remove(folder_ / name);
}

std::filesystem::path ChunkFolder::path_of(std::string_view stem, Index chunk,
                                           std::string_view extension) const {
  std::string number = std::to_string(chunk);
  if (number.size() < 6) number.insert(0, 6 - number.size(), '0');
  return folder_ / (std::string(stem) + "-" + number + std::string(extension));
}

std::vector<Index> ChunkFolder::missing(std::string_view stem, Index count,
                                        std::string_view extension) const {
  const auto names = names_in(folder_);  // one look at the folder, not one for each file
  std::vector<Index> result;
  for (Index chunk = 0; chunk < count; ++chunk)
    if (!std::binary_search(names.begin(), names.end(), path_of(stem, chunk, extension).filename().string()))
      result.push_back(chunk);
  return result;
}

void ChunkFolder::complete(ProcessGroup& group, std::string_view stem, Index count,
                           std::string_view extension,
                           const std::function<void(Index, const std::filesystem::path&)>& make) const {
  // Rank 0 looks for all: others may have begun before a slow one has looked.
  const auto chunks = group.rank() == 0 ? missing(stem, count, extension) : std::vector<Index>();
  share_out(group, chunks, [&](Index chunk) {
    write(path_of(stem, chunk, extension), [&](const Path& unfinished) { make(chunk, unfinished); });
  });
}

void ChunkFolder::write(const std::filesystem::path& file,
                        const std::function<void(const std::filesystem::path& unfinished)>& write) {
  Path unfinished = file;
  unfinished += "." + random_name() + std::string(unfinished_ending);
  try {
    write(unfinished);
    sync(unfinished);
    std::error_code error;
    std::filesystem::rename(unfinished, file, error);
    if (error) throw job_file_error(file, "cannot be written: " + error.message());
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(unfinished, ignored);
    throw;
  }
}

void ChunkFolder::write(const std::filesystem::path& file, std::string_view bytes) {
  write(file, [&](const Path& unfinished) {
    const auto failure = [&] {
      return job_file_error(file, "cannot be written: " + std::generic_category().message(errno));
    };
    std::FILE* const stream = std::fopen(unfinished.string().c_str(), "wbx");
    if (stream == nullptr) throw failure();
    const bool whole = std::fwrite(bytes.data(), 1, bytes.size(), stream) == bytes.size();
    if (std::fclose(stream) != 0 || !whole) throw failure();
  });
}

}  // namespace daguerre::evaluation
