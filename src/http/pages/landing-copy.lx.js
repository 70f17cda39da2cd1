const button = document.getElementById('copy')
const address = document.getElementById('address')

// Without https browsers offer no clipboard: select the text and ask them to copy that.
function copySelected() {
  getSelection().selectAllChildren(address)
  return document.execCommand('copy')
}

button.hidden = false
button.addEventListener('click', async () => {
  const done = navigator.clipboard === undefined
    ? copySelected()
    : await navigator.clipboard.writeText(address.textContent).then(() => true, copySelected)
  button.classList.toggle('done', done)
  if (done) setTimeout(() => button.classList.remove('done'), 2000)
})
