#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/log.h>
#include <libswscale/swscale.h>
}

/// What writing and reading films with FFmpeg's libraries share.
namespace daguerre {

// libav writes what it finds wrong to standard error; here errors say it. Its level and where it writes are
// the process's, and so the host's: contexts are made to speak below every level instead.
// (Behind its levels up to 56, and below 256, from where on it keeps colours.)
inline constexpr int libav_quiet = 128;

/// A container's context has no level of its own: it gets one where its user may keep what he likes.
inline void make_quiet(AVFormatContext& format) {
  static const AVClass with_level = [] {
    AVClass result = *avformat_get_class();
    result.log_level_offset_offset = offsetof(AVFormatContext, opaque);
    return result;
  }();
  static_assert(sizeof(format.opaque) >= sizeof(libav_quiet));
  std::memcpy(&format.opaque, &libav_quiet, sizeof libav_quiet);
  format.av_class = &with_level;
}

/// Options for the decoders with which libavformat looks at each of a film's streams.
class LibavQuietOptions {
 public:
  explicit LibavQuietOptions(std::size_t streams) : options_(std::max<std::size_t>(1, streams), nullptr) {
    for (auto& each : options_) av_dict_set_int(&each, "log_level_offset", libav_quiet, 0);
  }
  LibavQuietOptions(const LibavQuietOptions&) = delete;
  LibavQuietOptions& operator=(const LibavQuietOptions&) = delete;
  ~LibavQuietOptions() {
    for (auto& each : options_) av_dict_free(&each);
  }
  AVDictionary** data() noexcept { return options_.data(); }

 private:
  std::vector<AVDictionary*> options_;
};

inline std::string libav_reason(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

struct LibavFree {
  void operator()(AVFormatContext* format) const { avformat_close_input(&format); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(SwsContext* context) const { sws_freeContext(context); }
  void operator()(AVIOContext* stream) const {
    if (stream != nullptr) av_freep(&stream->buffer);
    avio_context_free(&stream);
  }
};
template <class T>
using Libav = std::unique_ptr<T, LibavFree>;

template <class T>
T* needed(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

inline constexpr int libav_buffer = 1 << 16;

}  // namespace daguerre
