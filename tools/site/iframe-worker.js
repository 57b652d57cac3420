// Pages opened from the disk (file:) may start no Worker: there one in a hidden frame stands for it, so that the search works.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.onmessage = this.onerror = null
      this.waiting = []
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      const inner = this.inner = frame.contentWindow
      inner.document.open()
      inner.document.write("<html><body></body></html>")
      inner.document.close()
      const load = source => new Promise((done, failed) => {
        const script = inner.document.createElement("script")
        script.src = source
        script.onload = done
        script.onerror = () => failed(new Error(source))
        inner.document.body.appendChild(script)
      })
      inner.importScripts = (...list) => list.reduce((before, each) => before.then(() => load(each)), Promise.resolve())
      inner.postMessage = data => this.tell(new MessageEvent("message", { data }))
      load(url).then(() => {
        const list = this.waiting
        this.waiting = null
        list.forEach(data => this.postMessage(data))
      }, error => this.tell(new ErrorEvent("error", { error })))
    }
    tell(event) {
      this.dispatchEvent(event)
      const f = this["on" + event.type]
      if (f) f(event)
    }
    postMessage(data) {
      if (this.waiting) this.waiting.push(data)
      else this.inner.dispatchEvent(new MessageEvent("message", { data }))
    }
    terminate() { this.inner.frameElement.remove() }
  }
}
